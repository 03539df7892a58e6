package bert_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"causerie/models/bert"
	"causerie/models/kernels"
)

// newModel makes a random model, livelier than at the start of training.
func newModel(t testing.TB, cfg bert.Config, dtype kernels.DType) *bert.Model {
	t.Helper()
	m, err := bert.New(cfg, dtype)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 1))
	for _, p := range m.Params() {
		values := make([]float32, p.Len())
		for i := range values {
			values[i] = float32(r.NormFloat64() * 0.2)
			if strings.HasSuffix(p.Names[0], "LayerNorm.weight") {
				values[i]++
			}
		}
		if p.Packed != nil {
			p.Packed.Fill(nil, 0, values)
			continue
		}
		copy(p.Data, values)
	}
	return m
}

func randomText(n, vocab int, seed uint64) bert.Segment {
	r := rand.New(rand.NewPCG(seed, 2))
	s := bert.Segment{Tokens: make([]int32, n)}
	for i := range s.Tokens {
		s.Tokens[i] = int32(r.IntN(vocab))
	}
	return s
}

func states(t *testing.T, r *bert.Runner, segments []bert.Segment, rows []int) []float32 {
	t.Helper()
	n := len(rows)
	if rows == nil {
		for _, s := range segments {
			n += len(s.Tokens)
		}
	}
	dst := make([]float32, n*r.Model().Config.Width)
	if err := r.Hidden(segments, rows, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	same := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("%s: the states differ", what)
	}
}

// TestStatesAreBitEqualWhateverTheBatch: a text alone, beside others, in any
// order, on one thread or two, all rows or some.
func TestStatesAreBitEqualWhateverTheBatch(t *testing.T) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	for _, cfg := range []bert.Config{
		{VocabSize: 97, Positions: 140, Width: 48, Heads: 3, Layers: 2},
		{VocabSize: 97, Positions: 140, Width: 128, Heads: 2, Layers: 1, Inner: 72, TanhGELU: true},
		{VocabSize: 97, Positions: 140, Width: 40, Heads: 5, Layers: 3},
	} {
		for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
			t.Run(fmt.Sprintf("%s/width=%d", dtype, cfg.Width), func(t *testing.T) {
				m := newModel(t, cfg, dtype)
				var texts []bert.Segment
				var alone [][]float32
				for i, n := range []int{1, 2, 65, 140, 17, 33, 128} {
					texts = append(texts, randomText(n, cfg.VocabSize, uint64(i)))
					alone = append(alone, states(t, bert.NewRunner(m, nil), texts[i:i+1], nil))
				}
				r := bert.NewRunner(m, pool)
				for i, text := range texts {
					sameBits(t, fmt.Sprintf("text %d on two threads", i), states(t, r, []bert.Segment{text}, nil), alone[i])
				}
				sameBits(t, "all together", states(t, r, texts, nil), slices.Concat(alone...))
				slices.Reverse(texts)
				slices.Reverse(alone)
				all := slices.Concat(alone...)
				sameBits(t, "all in reverse", states(t, r, texts, nil), all)
				w := cfg.Width
				sameBits(t, "some rows", states(t, r, texts, []int{200, 0, 7}),
					slices.Concat(all[200*w:201*w], all[:w], all[7*w:8*w]))
			})
		}
	}
}

func TestHiddenRefusesWhatItCannotCompute(t *testing.T) {
	r := bert.NewRunner(newModel(t, bert.Config{VocabSize: 9, Positions: 8, Width: 8, Heads: 2, Layers: 1}, kernels.Float32), nil)
	for _, c := range []struct {
		name     string
		segments []bert.Segment
		rows     []int
		room     int
		want     string
	}{
		{"nothing", nil, nil, 0, "no segments"},
		{"empty segment", []bert.Segment{{Tokens: []int32{1}}, {}}, nil, 0, "segment 1: it holds no tokens"},
		{"id too large", []bert.Segment{{Tokens: []int32{1, 9}}}, nil, 0, "token 9 at position 1 is not in [0, 9)"},
		{"negative id", []bert.Segment{{Tokens: []int32{-1}}}, nil, 0, "token -1"},
		{"too long", []bert.Segment{{Tokens: make([]int32, 9)}}, nil, 0, "9 tokens are more than the context of 8"},
		{"types", []bert.Segment{{Tokens: []int32{1}, Types: []int32{}}}, nil, 0, "0 types for 1 tokens"},
		{"type", []bert.Segment{{Tokens: []int32{1}, Types: []int32{2}}}, nil, 0, "type 2 at position 0 is not in [0, 2)"},
		{"row outside", []bert.Segment{{Tokens: []int32{1}}}, []int{1}, 8, "row 1 is not in [0, 1)"},
		{"no room", []bert.Segment{{Tokens: []int32{1}}}, nil, 7, "room for 7"},
	} {
		err := r.Hidden(c.segments, c.rows, make([]float32, c.room))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestConfigErrorsNameTheField(t *testing.T) {
	for _, c := range []struct {
		cfg  bert.Config
		want string
	}{
		{bert.Config{}, "vocab_size"},
		{bert.Config{VocabSize: 9, Positions: 8, Width: 8, Heads: 3, Layers: 1}, "num_attention_heads"},
		{bert.Config{VocabSize: 9, Positions: 8, Width: 8, Heads: 2, Layers: -1}, "num_hidden_layers"},
		{bert.Config{VocabSize: 9, Positions: 8, Width: 8, Heads: 2, Layers: 1, Eps: -1}, "layer_norm_eps"},
	} {
		if _, err := bert.New(c.cfg, kernels.Float32); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v does not name %s", c.cfg, err, c.want)
		}
	}
}
