package finetune

import (
	"math"
	"testing"

	"causerie/corpora"
	"causerie/models/gpt2"
	"causerie/models/lora"
)

// TestEstimateOfMemory holds the formula against the resident memory that
// BenchmarkStep and BenchmarkLoRAStep measured (docs/measurements.md).
func TestEstimateOfMemory(t *testing.T) {
	shape := gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}
	for _, tt := range []struct {
		rows     int
		lora     *lora.Config
		measured float64 // MB
	}{{256, nil, 2252}, {256, &lora.Config{}, 761}, {512, &lora.Config{}, 950}} {
		o := Options{Model: "default", Rows: tt.rows, Context: 64, LoRA: tt.lora}
		got := float64(o.Estimate(shape, corpora.Findings{}, 1).Bytes) / 1e6
		if got < 0.95*tt.measured || got > 1.2*tt.measured {
			t.Errorf("%d rows, LoRA %t: %.0f MB are estimated, %.0f were measured", tt.rows, tt.lora != nil, got, tt.measured)
		}
	}
}

// TestEstimateOfRecomputing: the same for a step of 2,048 tokens of a small model,
// and what recomputing costs.
func TestEstimateOfRecomputing(t *testing.T) {
	shape := gpt2.Config{VocabSize: 10000, Positions: 512, Width: 256, Heads: 8, Layers: 6}
	o := Options{Model: "default", Rows: 2048, Context: 512, Steps: 10}
	plain := o.Estimate(shape, corpora.Findings{}, 1)
	o.Recompute = true
	twice := o.Estimate(shape, corpora.Findings{}, 1)
	for measured, e := range map[float64]Estimate{424: plain, 362: twice} { // MB
		if got := float64(e.Bytes) / 1e6; got < 0.95*measured || got > 1.2*measured {
			t.Errorf("%.0f MB are estimated, %.0f were measured", got, measured)
		}
	}
	if plain.Bytes-twice.Bytes != twice.RecomputeBytes || plain.RecomputeBytes != twice.RecomputeBytes || twice.RecomputeBytes <= 0 {
		t.Errorf("%d bytes are saved of %d, %d remain", twice.RecomputeBytes, plain.Bytes, twice.Bytes)
	}
	if more := twice.Seconds / plain.Seconds; math.Abs(twice.Seconds-plain.Seconds-twice.RecomputeSeconds) > 1e-6*twice.Seconds || more < 1.15 || more > 1.34 {
		t.Errorf("it takes %.2f times as long", more)
	}
}

func TestEstimateOfTime(t *testing.T) {
	shape := gpt2.Config{VocabSize: 10000, Positions: 512, Width: 256, Heads: 4, Layers: 6}
	found := corpora.Findings{Train: []corpora.FileFindings{{Rows: 100_000, Weight: 2}}}
	o := Options{Model: "default", Rows: 1000, Epochs: 3}
	e := o.Estimate(shape, found, 200)
	if e.Steps != 600 || e.Rows != 600_000 {
		t.Errorf("%+v", e)
	}
	// 600,000 tokens times 6 FLOP for each of 7.4 M weights at 120 GFLOP/s.
	if e.Seconds < 190 || e.Seconds > 300 {
		t.Errorf("%.0f seconds", e.Seconds)
	}
	o.LoRA = &lora.Config{}
	if l := o.Estimate(shape, found, 200); l.Seconds > 0.7*e.Seconds || l.Bytes >= e.Bytes {
		t.Errorf("an adapter takes %+v, the whole model %+v", l, e)
	}
	supervised := o.Estimate(shape, found, 200)
	o.DPO = &DPO{}
	// Six times the data, forward and back to the inputs; and each once more forward.
	if p := o.Estimate(shape, found, 200); p.Steps != e.Steps || p.Seconds < 1.08*supervised.Seconds || p.Seconds > 1.09*supervised.Seconds {
		t.Errorf("preferences take %+v, the same dialogues %+v", p, supervised)
	}
	o.DPO = nil
	o.HoldOut, o.EvalFirst = 0.1, true
	if l := o.Estimate(shape, found, 200); l.Steps != 540 {
		t.Errorf("%d steps on nine tenths of the data", l.Steps)
	}
}
