package gpt2_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

var small = gpt2.Config{VocabSize: 97, Positions: 200, Width: 48, Heads: 3, Layers: 2}

func newModel(t testing.TB, cfg gpt2.Config) *gpt2.Model {
	t.Helper()
	m, err := gpt2.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	m.Init(5)
	for _, p := range m.Params() { // livelier than the start of training
		if len(p.Shape) == 2 {
			for i := range p.Data {
				p.Data[i] *= 8
			}
		}
	}
	return m
}

func randomTokens(n, vocab int, seed uint64) []int32 {
	r := rand.New(rand.NewPCG(seed, 2))
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(r.IntN(vocab))
	}
	return ids
}

// rowsOf counts from first to first+n.
func rowsOf(first, n int) []int {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = first + i
	}
	return rows
}

// whole returns the logits of every token in one call without cache.
func whole(t *testing.T, r *gpt2.Runner, ids []int32) []float32 {
	t.Helper()
	dst := make([]float32, len(ids)*r.Model().Config.VocabSize)
	if err := r.Logits([]gpt2.Segment{{Tokens: ids}}, rowsOf(0, len(ids)), dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d logits, want %d", what, len(got), len(want))
	}
	for i := range want {
		if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			t.Fatalf("%s: logit %d is %v, want %v", what, i, got[i], want[i])
		}
	}
}

// TestLogitsAreBitEqualHoweverComputed is the promise of batch invariance:
// the same tokens give the same bits in one call, in chunks over a cache, one
// by one, beside other sequences, with one thread or two, trainable or frozen.
func TestLogitsAreBitEqualHoweverComputed(t *testing.T) {
	for _, cfg := range []gpt2.Config{
		small,
		{VocabSize: 300, Positions: 180, Width: 128, Heads: 2, Layers: 1, Untied: true},
		{VocabSize: 130, Positions: 180, Width: 40, Heads: 5, Layers: 2, Inner: 24},
	} {
		t.Run(fmt.Sprintf("width=%d,heads=%d", cfg.Width, cfg.Heads), func(t *testing.T) {
			pool := kernels.NewPool(2)
			defer pool.Close()
			m := newModel(t, cfg)
			ids := randomTokens(170, cfg.VocabSize, 3)
			want := whole(t, gpt2.NewRunner(m, nil), ids)
			check := func(t *testing.T, m *gpt2.Model, want []float32) {
				for _, p := range []*kernels.Pool{nil, pool} {
					r := gpt2.NewRunner(m, p)
					sameBits(t, "whole", whole(t, r, ids), want)
					for _, chunk := range []int{1, 7, 64, 100} {
						sameBits(t, fmt.Sprintf("chunks of %d", chunk), chunked(t, r, ids, chunk), want)
					}
					sameBits(t, "in a batch", batched(t, r, ids), want)
				}
			}
			t.Run("trainable", func(t *testing.T) { check(t, m, want) })
			for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
				frozen, want := newModel(t, cfg), want
				frozen.Freeze(pool, dtype)
				if dtype != kernels.Float32 { // rounded, and the same however it is computed
					want = whole(t, gpt2.NewRunner(frozen, nil), ids)
				}
				t.Run(dtype.String(), func(t *testing.T) { check(t, frozen, want) })
			}
		})
	}
}

// chunked feeds the tokens through a cache, n at a time.
func chunked(t *testing.T, r *gpt2.Runner, ids []int32, n int) []float32 {
	t.Helper()
	vocab := r.Model().Config.VocabSize
	cache, all := r.Model().NewCache(), []float32(nil)
	for part := range slices.Chunk(ids, n) {
		dst := make([]float32, len(part)*vocab)
		if err := r.Logits([]gpt2.Segment{{Tokens: part, Cache: cache}}, rowsOf(0, len(part)), dst); err != nil {
			t.Fatal(err)
		}
		all = append(all, dst...)
	}
	return all
}

// batched computes the tokens' logits beside a cached sequence and a whole
// one, over a cache that was used and truncated before.
func batched(t *testing.T, r *gpt2.Runner, ids []int32) []float32 {
	t.Helper()
	m := r.Model()
	vocab := m.Config.VocabSize
	other, cache := m.NewCache(), m.NewCache()
	prefix := slices.Concat(ids[:50], randomTokens(30, vocab, 9))
	dst := make([]float32, len(prefix)*vocab)
	if err := r.Logits([]gpt2.Segment{{Tokens: prefix, Cache: cache}}, rowsOf(0, len(prefix)), dst); err != nil {
		t.Fatal(err)
	}
	cache.Truncate(50)
	rest := ids[50:]
	segments := []gpt2.Segment{
		{Tokens: randomTokens(33, vocab, 4), Cache: other},
		{Tokens: rest, Cache: cache},
		{Tokens: randomTokens(90, vocab, 6)},
	}
	tail := make([]float32, len(rest)*vocab)
	if err := r.Logits(segments, rowsOf(33, len(rest)), tail); err != nil {
		t.Fatal(err)
	}
	return append(dst[:50*vocab:50*vocab], tail...)
}

// modes are the ways of computing gradients.
var modes = []struct {
	name      string
	precision kernels.DType
	recompute bool
}{{"f32", kernels.Float32, false}, {"f32, recomputed", kernels.Float32, true}, {"bf16", kernels.BFloat16, false}, {"bf16, recomputed", kernels.BFloat16, true}}

// TestGradientsAreBitEqualWithAnyThreads is the promise of reproducible
// training, for one step: neither threads nor recomputation show in a gradient.
func TestGradientsAreBitEqualWithAnyThreads(t *testing.T) {
	segments, targets, weights := trainingBatch(small.VocabSize)
	want := map[kernels.DType][]float32{}
	for threads := range 4 {
		var pool *kernels.Pool
		if threads > 0 {
			pool = kernels.NewPool(threads)
			defer pool.Close()
		}
		m := newModel(t, small)
		if err := m.Trainable(); err != nil {
			t.Fatal(err)
		}
		r := gpt2.NewRunner(m, pool)
		for _, mode := range slices.Concat(modes, modes) { // the second time with the first one's memory
			r.SetPrecision(mode.precision)
			r.SetRecompute(mode.recompute)
			m.ZeroGrad()
			if _, err := r.LossAndGrad(segments, targets, weights, 0.01); err != nil {
				t.Fatal(err)
			}
			var got []float32
			for _, p := range m.Params() {
				got = append(got, p.Grad...)
			}
			if want[mode.precision] == nil {
				want[mode.precision] = got
			}
			sameBits(t, fmt.Sprintf("%s, %d threads", mode.name, threads), got, want[mode.precision])
		}
	}
	exact, rounded := want[kernels.Float32], want[kernels.BFloat16]
	var off, size float64
	for i := range exact {
		off += math.Pow(float64(exact[i]-rounded[i]), 2)
		size += math.Pow(float64(exact[i]), 2)
	}
	if e := math.Sqrt(off / size); e == 0 || e > 0.05 {
		t.Errorf("the gradient in bf16 is off by %.4f of that in f32", e)
	}
}

func trainingBatch(vocab int) (segments []gpt2.Segment, targets []int32, weights []float32) {
	for i, n := range []int{130, 1, 65, 17} {
		ids := randomTokens(n+1, vocab, uint64(i))
		segments = append(segments, gpt2.Segment{Tokens: ids[:n]})
		targets = append(targets, ids[1:]...)
		for j := range n {
			weights = append(weights, float32(j%4))
		}
	}
	return segments, targets, weights
}

func TestLossAgreesWithLogits(t *testing.T) {
	m := newModel(t, small)
	r := gpt2.NewRunner(m, nil)
	segments, targets, weights := trainingBatch(small.VocabSize)
	loss, err := r.Loss(segments, targets, weights)
	if err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, len(targets)*small.VocabSize)
	if err := r.Logits(segments, rowsOf(0, len(targets)), logits); err != nil {
		t.Fatal(err)
	}
	var want, total float64
	for i, target := range targets {
		row := logits[i*small.VocabSize : (i+1)*small.VocabSize]
		var sum float64
		for _, v := range row {
			sum += math.Exp(float64(v))
		}
		want += float64(weights[i]) * (math.Log(sum) - float64(row[target]))
		total += float64(weights[i])
	}
	if math.Abs(loss.Sum-want) > 1e-5*want || loss.Weight != total {
		t.Errorf("loss %g of weight %g, want %g of %g", loss.Sum, loss.Weight, want, total)
	}
}
