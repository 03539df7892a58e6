package bench

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

func TestWords(t *testing.T) {
	const vocab = 1000
	w := words(vocab)
	ids := []int32{0, 17, 998, 999, 5}
	if text := w.Decode(ids); text != " w0 w17 w998<|endoftext|> w5" {
		t.Errorf("Decode(%v) = %q", ids, text)
	}
	if got := w.EncodeSpecial(nil, w.Decode(ids)); !slices.Equal(got, ids) {
		t.Errorf("EncodeSpecial(Decode(%v)) = %v", ids, got)
	}
	for _, id := range w.Encode(nil, "the w999 w-1 w1e3 w99999999999 <|endoftext|> 你好") {
		if id < 0 || id >= vocab-1 {
			t.Errorf("plain text became id %d", id)
		}
	}
	if got := w.Encode(nil, "a b\n\tc  d"); len(got) != 4 {
		t.Errorf("4 words became %v", got)
	}
	if end, ok := w.SpecialID(dialogue.EndOfText); !ok || end != vocab-1 || !w.IsSpecial(end) {
		t.Errorf("the special token is %d, %v", end, ok)
	}
	if got := w.AppendToken(nil, vocab); len(got) != 0 {
		t.Errorf("an id outside the vocabulary became %q", got)
	}
}

func TestTextOf(t *testing.T) {
	bytes, err := tokenizer.TrainBPE(slices.Values([]string{}), tokenizer.TrainOptions{VocabSize: 261, Specials: dialogue.Specials()})
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for name, tok := range map[string]tokenizer.Tokenizer{"words": words(5000), "bytes": bytes} {
		for _, n := range []int{1, 20, 400} {
			text := textOf(tok, r, n)
			got := len(tok.Encode(nil, text))
			if got > n || got < n-3 {
				t.Errorf("%s: a text of %d tokens has %d", name, n, got)
			}
			if other := textOf(tok, r, n); n > 1 && strings.HasPrefix(other, text[:len(text)/2]) {
				t.Errorf("%s: two texts begin alike: %q and %q", name, text, other)
			}
		}
	}
}
