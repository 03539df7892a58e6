package finetune

import (
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
