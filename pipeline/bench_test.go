package pipeline

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"causerie/models/gpt2"
)

// BenchmarkDecode writes replies of 64 tokens, several at a time: tokens/s over
// all of them together. Sharing passes should make that rise with their number.
func BenchmarkDecode(b *testing.B) {
	for _, shape := range []struct {
		name string
		cfg  gpt2.Config
	}{
		{"8M", gpt2.Config{VocabSize: 12000, Positions: 512, Width: 256, Heads: 4, Layers: 6}},
		{"124M", gpt2.Config{VocabSize: 50257, Positions: 256, Width: 768, Heads: 12, Layers: 12}},
	} {
		net, err := gpt2.New(shape.cfg)
		if err != nil {
			b.Fatal(err)
		}
		net.Init(1)
		for _, sequences := range []int{1, 2, 4, 8} {
			b.Run(fmt.Sprintf("%s/sequences=%d", shape.name, sequences), func(b *testing.B) {
				e, err := NewEngine(Model{Net: net}, EngineOptions{MaxSequences: sequences})
				if err != nil {
					b.Fatal(err)
				}
				defer func() { _ = e.Close(context.Background()) }()
				b.ResetTimer()
				started, tokens := time.Now(), 0
				for range b.N {
					var group sync.WaitGroup
					for i := range sequences {
						group.Go(func() {
							o := Options{MaxTokens: 64, IgnoreEnd: true, Seed: seed(uint64(i))}
							if _, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{int32(i), 1, 2}, Options: o}, nil); err != nil {
								b.Error(err)
							}
						})
					}
					group.Wait()
					tokens += 64 * sequences
				}
				b.ReportMetric(float64(tokens)/time.Since(started).Seconds(), "tokens/s")
			})
		}
	}
}
