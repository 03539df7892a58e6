package pipeline

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

var benchShapes = []struct {
	name string
	cfg  gpt2.Config
}{
	{"8M", gpt2.Config{VocabSize: 12000, Positions: 512, Width: 256, Heads: 4, Layers: 6}},
	{"124M", gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}},
}

// benchEngine has random weights, which is all the same to the arithmetic.
func benchEngine(b *testing.B, cfg gpt2.Config, o EngineOptions) *Engine {
	b.Helper()
	net, err := gpt2.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	net.Init(1)
	e, err := NewEngine(Model{Net: net}, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close(context.Background()) })
	return e
}

// BenchmarkDecode writes replies of 64 tokens, several at a time: tokens/s over
// all of them together. Sharing passes should make that rise with their number.
// Greedy replies of random weights soon repeat themselves, so nothing is
// guessed here.
func BenchmarkDecode(b *testing.B) {
	for _, shape := range benchShapes {
		for _, dtype := range []kernels.DType{kernels.Float32, kernels.Int8} {
			for _, sequences := range []int{1, 2, 4, 8} {
				b.Run(fmt.Sprintf("%s/%s/sequences=%d", shape.name, dtype, sequences), func(b *testing.B) {
					e := benchEngine(b, shape.cfg, EngineOptions{MaxSequences: sequences, NoSpeculation: true, DType: &dtype})
					write(b, e, sequences, 64) // touches all memory
					b.ReportAllocs()
					b.ResetTimer()
					started, tokens := time.Now(), 0
					for range b.N {
						write(b, e, sequences, 64)
						tokens += 64 * sequences
					}
					b.ReportMetric(float64(tokens)/time.Since(started).Seconds(), "tokens/s")
				})
			}
		}
	}
}

func write(b *testing.B, e *Engine, sequences, tokens int) {
	var group sync.WaitGroup
	for i := range sequences {
		group.Go(func() {
			o := Options{MaxTokens: tokens, IgnoreEnd: true, Seed: seed(uint64(i))}
			if _, err := e.Generate(context.Background(), GenerateRequest{IDs: []int32{int32(i), 1, 2}, Options: o}, nil); err != nil {
				b.Error(err)
			}
		})
	}
	group.Wait()
}
