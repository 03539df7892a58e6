package gpt2_test

import (
	"slices"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// TestHiddenBitEqual checks that the head makes the very logits of hidden
// states, and that they do not depend on the batch.
func TestHiddenBitEqual(t *testing.T) {
	m := newModel(t, small)
	r := gpt2.NewRunner(m, nil)
	width, vocab := small.Width, small.VocabSize
	a, b := randomTokens(70, vocab, 1), randomTokens(9, vocab, 2)
	both := make([]float32, (len(a)+len(b))*width)
	if err := r.Hidden([]gpt2.Segment{{Tokens: a}, {Tokens: b}}, both); err != nil {
		t.Fatal(err)
	}
	alone := make([]float32, len(b)*width)
	if err := r.Hidden([]gpt2.Segment{{Tokens: b}}, alone); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(alone, both[len(a)*width:]) {
		t.Error("hidden states depend on what else is in the batch")
	}
	logits := make([]float32, len(a)*vocab)
	kernels.Linear(nil, logits, both, m.Params()[0].Data, nil, len(a), vocab, width)
	if !slices.Equal(logits, whole(t, r, a)) {
		t.Error("the head makes other logits of the hidden states")
	}
	for name, bad := range map[string][]gpt2.Segment{
		"a cache":  {{Tokens: b, Cache: m.NewCache()}},
		"no token": {{}},
		"few room": {{Tokens: a}},
	} {
		if err := r.Hidden(bad, alone); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
