package gpt2_test

import (
	"fmt"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// BenchmarkForward is the model without an engine around it: decoding steps of
// some sequences with a short past, and prompts of which the last token's
// logits are asked for.
func BenchmarkForward(b *testing.B) {
	for _, shape := range []struct {
		name string
		cfg  gpt2.Config
	}{
		{"8M", gpt2.Config{VocabSize: 12000, Positions: 512, Width: 256, Heads: 4, Layers: 6}},
		{"124M", gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}},
	} {
		for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
			m, err := gpt2.New(shape.cfg)
			if err != nil {
				b.Fatal(err)
			}
			pool := kernels.NewPool(0)
			m.Freeze(pool, dtype)
			r := gpt2.NewRunner(m, pool)
			for _, rows := range []int{1, 8, 16} {
				b.Run(fmt.Sprintf("%s/%v/decode=%d", shape.name, dtype, rows), func(b *testing.B) { benchDecode(b, r, rows) })
			}
			for _, rows := range []int{128, 500} {
				b.Run(fmt.Sprintf("%s/%v/prefill=%d", shape.name, dtype, rows), func(b *testing.B) { benchPrefill(b, r, rows) })
			}
			pool.Close()
		}
	}
}

func benchDecode(b *testing.B, r *gpt2.Runner, sequences int) {
	const past = 64
	m := r.Model()
	logits := make([]float32, sequences*m.Config.VocabSize)
	segments := make([]gpt2.Segment, sequences)
	for i := range segments {
		segments[i] = gpt2.Segment{Tokens: randomTokens(past, m.Config.VocabSize, uint64(i)), Cache: m.NewCache()}
	}
	if err := r.Logits(segments, nil, nil); err != nil {
		b.Fatal(err)
	}
	rows := rowsOf(0, sequences)
	for i := range segments {
		segments[i].Tokens = segments[i].Tokens[:1]
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range segments {
			s.Cache.Truncate(past)
		}
		if err := r.Logits(segments, rows, logits); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(sequences*b.N)/b.Elapsed().Seconds(), "tokens/s")
}

func benchPrefill(b *testing.B, r *gpt2.Runner, n int) {
	m := r.Model()
	logits := make([]float32, m.Config.VocabSize)
	segments := []gpt2.Segment{{Tokens: randomTokens(n, m.Config.VocabSize, 1), Cache: m.NewCache()}}
	b.ReportAllocs()
	for b.Loop() {
		segments[0].Cache.Reset()
		if err := r.Logits(segments, []int{n - 1}, logits); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "tokens/s")
}
