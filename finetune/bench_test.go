package finetune

import (
	"fmt"
	"os"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/lora"
)

// BenchmarkStep measures whole training steps (loss, gradients, clipping,
// AdamW) and prints tokens per second and the share of the peak of fused
// multiply-adds that was measured beside it:
//
//	go test -run '^$' -bench '^BenchmarkStep' -benchtime 10x ./finetune
//
// The 124M shape at 4×64 tokens is the one that llm.c's CPU trainer is measured
// by. It takes 2.5 GB of memory; -short leaves it out.
func BenchmarkStep(b *testing.B) {
	for _, bm := range []stepBench{
		{name: "124M/4x64", cfg: large, sequences: 4, length: 64},
		{name: "124M/8x256", cfg: large, sequences: 8, length: 256},
		{name: "124M/4x64/bf16", cfg: large, sequences: 4, length: 64, precision: kernels.BFloat16},
		{name: "124M/8x256/bf16", cfg: large, sequences: 8, length: 256, precision: kernels.BFloat16},
		{name: "124M/8x256/recompute", cfg: large, sequences: 8, length: 256, recompute: true},
		{name: "124M/8x256/bf16+recompute", cfg: large, sequences: 8, length: 256, precision: kernels.BFloat16, recompute: true},
		{name: "7M/16x128", cfg: small, sequences: 16, length: 128},
		{name: "7M/16x128/recompute", cfg: small, sequences: 16, length: 128, recompute: true},
		{name: "7M/16x128/bf16", cfg: small, sequences: 16, length: 128, precision: kernels.BFloat16},
	} {
		b.Run(bm.name, bm.run)
	}
}

var (
	large = gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}
	small = gpt2.Config{VocabSize: 10000, Positions: 512, Width: 256, Heads: 8, Layers: 6}
)

// stepBench is a training step to be measured.
type stepBench struct {
	name              string
	cfg               gpt2.Config
	sequences, length int
	adapter           *lora.Config
	precision         kernels.DType
	recompute         bool
}

// BenchmarkLoRAStep measures the same steps where only an adapter of PEFT's
// default kind is trained, and the memory of the process:
//
//	go test -run '^$' -bench LoRAStep -benchtime 10x ./finetune
func BenchmarkLoRAStep(b *testing.B) {
	for _, bm := range []stepBench{
		{name: "124M/4x64", cfg: large, sequences: 4, length: 64},
		{name: "124M/2x256", cfg: large, sequences: 2, length: 256},
		{name: "7M/16x128", cfg: small, sequences: 16, length: 128},
	} {
		bm.adapter = &lora.Config{}
		b.Run(bm.name, bm.run)
	}
}

func (bm stepBench) run(b *testing.B) {
	cfg, sequences, length, adapter := bm.cfg, bm.sequences, bm.length, bm.adapter
	if cfg.Width >= large.Width && testing.Short() {
		b.Skip("takes up to 2.5 GB")
	}
	pool := kernels.NewPool(0)
	defer pool.Close()
	m, err := gpt2.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	f := &folder{model: m}
	if adapter != nil {
		if f.adapter, err = lora.New(cfg, *adapter, 1); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.trainable(); err != nil {
		b.Fatal(err)
	}
	o := Options{LR: 1e-4, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, WeightDecay: 0.1}
	runner, optimizer, norms := gpt2.NewRunner(m, pool), newAdamW(pool, f.trained(), &o), newNorms(pool, f.trained())
	runner.SetPrecision(bm.precision)
	runner.SetRecompute(bm.recompute)
	segments, targets, weights := madeUpBatch(cfg.VocabSize, sequences, length)
	for i := range segments {
		segments[i].Adapter = f.net()
	}
	number := 0
	step := func() {
		norms.clear()
		if _, err := runner.LossAndGrad(segments, targets, weights, 1/float32(len(targets))); err != nil {
			b.Fatal(err)
		}
		number++
		optimizer.step(number, o.LR, clipScale(norms.global(), 1))
	}
	step() // the first one makes the memory
	peak := kernels.MeasurePeak(pool, kernels.Float32)
	for b.Loop() {
		step()
	}
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(perSecond*float64(len(targets)), "tokens/s")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(1e3/perSecond, "ms/step")
	b.ReportMetric(residentMB(b), "MB-resident")
	if adapter != nil {
		return // its floating-point operations are fewer than stepFLOP counts
	}
	gflops := perSecond * stepFLOP(cfg, sequences, length) / 1e9
	b.ReportMetric(gflops, "GFLOP/s")
	b.ReportMetric(100*gflops/peak, "%peak")
}

// residentMB is the memory of the process now, where the system tells it.
func residentMB(b *testing.B) float64 {
	b.Helper()
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident float64
	if _, err := fmt.Sscan(string(data), &size, &resident); err != nil {
		b.Fatal(err)
	}
	return resident * float64(os.Getpagesize()) / 1e6
}

// stepFLOP counts the multiplications and additions of a step's matrix
// products: two for each weight and token forward, four backward; attention
// likewise for each pair of a token and one that it sees.
func stepFLOP(c gpt2.Config, sequences, length int) float64 {
	c.EnsureDefaults()
	weights := c.Layers*(4*c.Width*c.Width+2*c.Width*c.Inner) + c.VocabSize*c.Width
	pairs := length * (length + 1) / 2
	return 6 * float64(sequences) * (float64(length*weights) + float64(2*c.Layers*c.Width*pairs))
}

func madeUpBatch(vocab, sequences, length int) (segments []gpt2.Segment, targets []int32, weights []float32) {
	id := uint32(1)
	next := func() int32 {
		id = id*1664525 + 1013904223
		return int32(id>>8) % int32(vocab)
	}
	for range sequences {
		tokens := make([]int32, length)
		for i := range tokens {
			tokens[i] = next()
			targets = append(targets, next())
			weights = append(weights, 1)
		}
		segments = append(segments, gpt2.Segment{Tokens: tokens})
	}
	return segments, targets, weights
}
