package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"causerie/models"
	"causerie/models/bert"
	"causerie/models/gpt2"
	"causerie/models/hf"
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

// BenchmarkEncoder embeds texts of 128 tokens with a sentence encoder of the
// shape of all-MiniLM-L6-v2, 256 a request: texts/s, and the share of the peak of
// multiply-adds, measured before. Its weights are random, which is all the same
// to the arithmetic.
func BenchmarkEncoder(b *testing.B) {
	const texts, tokens = 256, 128
	cfg := bert.Config{VocabSize: 30522, Positions: 512, Width: 384, Heads: 12, Layers: 6, Inner: 1536}
	inputs := make([]EmbedInput, texts)
	for i := range inputs {
		for j := range tokens {
			inputs[i].IDs = append(inputs[i].IDs, int32(1+(i*131+j*977)%30000))
		}
		inputs[i].IDs[0] = 0 // [CLS] of this model
	}
	for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
		b.Run(dtype.String(), func(b *testing.B) {
			e := benchEncoder(b, cfg, dtype)
			embed := func() {
				if _, err := e.Embed(context.Background(), EmbedRequest{Inputs: inputs}); err != nil {
					b.Fatal(err)
				}
			}
			embed() // touches all memory
			peak := kernels.MeasurePeak(e.pool, dtype)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				embed()
			}
			perSecond := float64(texts*b.N) / b.Elapsed().Seconds()
			w, inner := float64(cfg.Width), float64(cfg.Inner)
			operations := 2 * tokens * float64(cfg.Layers) * (4*w*w + 2*w*inner + 2*tokens*w)
			b.ReportMetric(perSecond, "texts/s")
			b.ReportMetric(1e-7*perSecond*operations/peak, "%ofpeak")
		})
	}
}

func benchEncoder(b *testing.B, cfg bert.Config, dtype kernels.DType) *Encoder {
	b.Helper()
	net, err := bert.New(cfg, dtype)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for _, p := range net.Params() {
		values := make([]float32, p.Len())
		for i := range values {
			values[i] = float32(r.NormFloat64() * 0.05)
		}
		if p.Packed != nil {
			p.Packed.Fill(nil, 0, values)
		}
		copy(p.Data, values)
	}
	e, err := NewEncoder(&models.Encoder{Net: net, Settings: hf.SentenceSettings{Pooling: "mean", MaxTokens: 512}}, EncoderOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close(context.Background()) })
	return e
}
