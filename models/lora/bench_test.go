package lora

import (
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// BenchmarkDecode measures eight sequences of the 124M shape that are written
// together, a token each: without an adapter, all through one, and each
// through its own:
//
//	go test -run '^$' -bench Decode -benchtime 10x ./models/lora
//
// It takes 0.8 GB of memory; -short leaves it out.
func BenchmarkDecode(b *testing.B) {
	if testing.Short() {
		b.Skip("takes 0.8 GB")
	}
	const sequences, past = 8, 64
	pool := kernels.NewPool(0)
	defer pool.Close()
	m, err := gpt2.New(gpt2.Config{VocabSize: 50257, Positions: 256, Width: 768, Heads: 12, Layers: 12})
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	m.Freeze(pool, kernels.Float32)
	r := gpt2.NewRunner(m, pool)
	for _, bm := range []struct {
		name     string
		adapters int
	}{{"base", 0}, {"one adapter", 1}, {"eight adapters", 8}} {
		b.Run(bm.name, func(b *testing.B) {
			var adapters []*gpt2.Adapter
			for i := range bm.adapters {
				a, err := New(m.Config, Config{}, uint64(i))
				if err != nil {
					b.Fatal(err)
				}
				adapters = append(adapters, a.Net)
			}
			var segments []gpt2.Segment
			var rows []int
			for i := range sequences {
				s := gpt2.Segment{Tokens: make([]int32, past), Cache: m.NewCache()}
				if bm.adapters > 0 {
					s.Adapter = adapters[i%bm.adapters]
				}
				segments, rows = append(segments, s), append(rows, i)
			}
			if err := r.Logits(segments, nil, nil); err != nil {
				b.Fatal(err)
			}
			logits := make([]float32, sequences*m.Config.VocabSize)
			for i := range segments {
				segments[i].Tokens = []int32{1}
			}
			for b.Loop() {
				for i := range segments {
					segments[i].Cache.Truncate(past)
				}
				if err := r.Logits(segments, rows, logits); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(b.Elapsed().Seconds()*1e3/float64(b.N), "ms/token")
			b.ReportMetric(float64(b.N)*sequences/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
