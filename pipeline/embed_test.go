package pipeline

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"causerie/models/gpt2"
)

func texts(list ...string) []EmbedInput {
	inputs := make([]EmbedInput, len(list))
	for i, s := range list {
		inputs[i].Text = s
	}
	return inputs
}

func embed(t *testing.T, e *Engine, req EmbedRequest) Embeddings {
	t.Helper()
	out, err := e.Embed(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEmbedPools compares every pooling with the sum written out over the
// network's hidden states.
func TestEmbedPools(t *testing.T) {
	m := randomModel(t, 64)
	ids := m.Tokenizer.Encode(nil, "good morning")
	width := m.Net.Config.Width
	hidden := make([]float32, len(ids)*width)
	if err := gpt2.NewRunner(m.Net, nil).Hidden([]gpt2.Segment{{Tokens: ids}}, hidden); err != nil {
		t.Fatal(err)
	}
	e := engineOf(t, m, EngineOptions{})
	for _, c := range []struct {
		pooling    Pooling
		dimensions int
		weight     func(i int) float64
	}{
		{"", 0, func(int) float64 { return 1 }},
		{PoolMean, 5, func(int) float64 { return 3 }},
		{PoolDecayed, 0, func(i int) float64 { return float64(i + 1) }},
		{PoolLast, 0, func(i int) float64 { return float64(i / (len(ids) - 1)) }},
	} {
		want := make([]float64, width)
		for i := range ids {
			for j := range want {
				want[j] += c.weight(i) * float64(hidden[i*width+j])
			}
		}
		if c.dimensions > 0 {
			want = want[:c.dimensions]
		}
		length := 0.0
		for _, x := range want {
			length += x * x
		}
		got := embed(t, e, EmbedRequest{Inputs: texts("good morning"), Pooling: c.pooling, Dimensions: c.dimensions})
		if got.Tokens != len(ids) || len(got.Vectors) != 1 || len(got.Vectors[0]) != len(want) {
			t.Fatalf("%q: %d tokens, %d vectors", c.pooling, got.Tokens, len(got.Vectors))
		}
		for j, x := range got.Vectors[0] {
			if y := want[j] / math.Sqrt(length); math.Abs(float64(x)-y) > 1e-6 {
				t.Errorf("%q: component %d is %g, want %g", c.pooling, j, x, y)
			}
		}
	}
}

// TestEmbedBitEqual embeds texts alone, together, in several passes, as ids,
// beside a reply that is being written and on several threads.
func TestEmbedBitEqual(t *testing.T) {
	e := engineOf(t, randomModel(t, 64), EngineOptions{})
	many := make([]string, 60) // more rows than a pass takes
	for i := range many {
		many[i] = strings.Repeat("word ", 1+i%7) + string(rune('a'+i%26))
	}
	together := embed(t, e, EmbedRequest{Inputs: texts(many...)})
	threaded := engineOf(t, randomModel(t, 64), EngineOptions{Threads: 2})
	var group sync.WaitGroup
	group.Go(func() {
		o := Options{MaxTokens: 50, IgnoreEnd: true}
		if _, err := threaded.Generate(context.Background(), GenerateRequest{Text: "go on", Options: o}, nil); err != nil {
			t.Error(err)
		}
	})
	beside := embed(t, threaded, EmbedRequest{Inputs: texts(many...)})
	group.Wait()
	for i, text := range many {
		alone := embed(t, e, EmbedRequest{Inputs: texts(text)}).Vectors[0]
		asIDs := embed(t, e, EmbedRequest{Inputs: []EmbedInput{{IDs: e.Model().Tokenizer.Encode(nil, text)}}}).Vectors[0]
		if !slices.Equal(alone, together.Vectors[i]) || !slices.Equal(alone, beside.Vectors[i]) || !slices.Equal(alone, asIDs) {
			t.Fatalf("%q has another vector alone than in company", text)
		}
	}
	if slices.Equal(together.Vectors[0], together.Vectors[1]) {
		t.Error("different texts have the same vector")
	}
}

func TestEmbedRefuses(t *testing.T) {
	e := engineOf(t, randomModel(t, 16), EngineOptions{})
	for _, c := range []struct {
		name string
		req  EmbedRequest
		want string
	}{
		{"an empty text", EmbedRequest{Inputs: texts("a", " ")}, "input 1 is empty"},
		{"no ids", EmbedRequest{Inputs: []EmbedInput{{IDs: []int32{}}}}, "input 0 is empty"},
		{"a long text", EmbedRequest{Inputs: texts(strings.Repeat("a", 17))}, "has 17 tokens, but the model's context holds 16"},
		{"a foreign id", EmbedRequest{Inputs: []EmbedInput{{IDs: []int32{1, 9999}}}}, "token id 9999"},
		{"too many dimensions", EmbedRequest{Inputs: texts("a"), Dimensions: 33}, "between 1 and 32"},
		{"a pooling nobody knows", EmbedRequest{Inputs: texts("a"), Pooling: "cls"}, "unknown pooling \"cls\" (known are mean, last and decayed)"},
	} {
		if _, err := e.Embed(t.Context(), c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Embed(gone, EmbedRequest{Inputs: texts("a")}); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that has gone: %v", err)
	}
	embed(t, e, EmbedRequest{Inputs: texts("the next one")})
}
