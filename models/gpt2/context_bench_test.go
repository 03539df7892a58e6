package gpt2_test

import (
	"fmt"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// BenchmarkContext decodes one token after few and after many others: the
// difference is attention.
func BenchmarkContext(b *testing.B) {
	pool := kernels.NewPool(0)
	defer pool.Close()
	for _, cfg := range []gpt2.Config{
		{VocabSize: 2000, Positions: 512, Width: 256, Heads: 4, Layers: 6},
		{VocabSize: 2000, Positions: 1024, Width: 768, Heads: 12, Layers: 12},
	} {
		m, err := gpt2.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		m.Init(1)
		m.Freeze(pool, kernels.Int8)
		r := gpt2.NewRunner(m, pool)
		for _, past := range []int{10, cfg.Positions - 10} {
			b.Run(fmt.Sprintf("width=%d/past=%d", cfg.Width, past), func(b *testing.B) {
				c, logits := m.NewCache(), make([]float32, cfg.VocabSize)
				if err := r.Logits([]gpt2.Segment{{Tokens: make([]int32, past), Cache: c}}, nil, nil); err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					c.Truncate(past)
					if err := r.Logits([]gpt2.Segment{{Tokens: []int32{1}, Cache: c}}, []int{0}, logits); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
