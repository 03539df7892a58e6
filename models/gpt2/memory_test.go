package gpt2_test

import (
	"runtime"
	"testing"

	"causerie/models/gpt2"
)

// TestSteadyStateAllocatesNothingOfSize: after the first steps, a training
// step and a decoding step live on the memory of the steps before. What is
// left is the graph's nodes, a few kilobytes.
func TestSteadyStateAllocatesNothingOfSize(t *testing.T) {
	m := newModel(t, small)
	if err := m.Trainable(); err != nil {
		t.Fatal(err)
	}
	r := gpt2.NewRunner(m, nil)
	segments, targets, weights := trainingBatch(small.VocabSize)
	train := func() {
		if _, err := r.LossAndGrad(segments, targets, weights, 1); err != nil {
			t.Fatal(err)
		}
	}
	cache, logits := m.NewCache(), make([]float32, small.VocabSize)
	decode := func() {
		cache.Truncate(20)
		if err := r.Logits([]gpt2.Segment{{Tokens: []int32{1}, Cache: cache}}, []int{0}, logits); err != nil {
			t.Fatal(err)
		}
	}
	type kind struct {
		name string
		step func()
		max  uint64
	}
	kinds := []kind{{"decoding", decode, 32 << 10}}
	for _, mode := range modes {
		most := uint64(64 << 10)
		if mode.recompute {
			most *= 2 // a graph of every block is made twice
		}
		kinds = append(kinds, kind{"training in " + mode.name, func() {
			r.SetPrecision(mode.precision)
			r.SetRecompute(mode.recompute)
			train()
		}, most})
	}
	for _, c := range kinds {
		c.step()
		c.step()
		var before, after runtime.MemStats
		const steps = 10
		runtime.ReadMemStats(&before)
		for range steps {
			c.step()
		}
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / steps; got > c.max {
			t.Errorf("a %s step allocates %d bytes, at most %d expected", c.name, got, c.max)
		}
	}
}
