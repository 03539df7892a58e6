package finetune

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/corpora"
	"causerie/models/kernels"
)

func TestOptionsValidate(t *testing.T) {
	for _, tt := range []struct {
		want   string
		change func(*Options)
	}{
		{"no output folder", func(o *Options) { o.Out = "" }},
		{"no training data", func(o *Options) { o.Data = nil }},
		{"has no path", func(o *Options) { o.Data[0].Path = "" }},
		{"standard input", func(o *Options) { o.Data[0].Path = "-" }},
		{"weight of", func(o *Options) { o.Data[0].Weight = -1 }},
		{"weight of", func(o *Options) { o.Data[0].Weight = math.Inf(1) }},
		{"weight of", func(o *Options) { o.Data[0].Weight = math.NaN() }},
		{"has its own", func(o *Options) { o.Model, o.Tokenizer = "a", "b" }},
		{"n_layer", func(o *Options) { o.Layers = -1 }},
		{"multiple of", func(o *Options) { o.Heads = 3 }},
		{"context of 1 ", func(o *Options) { o.Context = 1 }},
		{"does not hold", func(o *Options) { o.Rows = 100 }},
		{"micro-batches", func(o *Options) { o.Accumulate = -1 }},
		{"steps must", func(o *Options) { o.Steps = -5 }},
		{"epochs must", func(o *Options) { o.Epochs = math.NaN() }},
		{"warm-up", func(o *Options) { o.Steps, o.Warmup = 10, 11 }},
		{"learning rate must", func(o *Options) { o.LR = -1 }},
		{"learning rate", func(o *Options) { o.LR = math.NaN() }},
		{"last learning rate", func(o *Options) { o.MinLR = 1 }},
		{"beta1", func(o *Options) { o.Beta1 = 1 }},
		{"beta2", func(o *Options) { o.Beta2 = -0.1 }},
		{"eps", func(o *Options) { o.Eps = -1 }},
		{"weight decay", func(o *Options) { o.WeightDecay = 1e9 }},
		{"checkpoint must", func(o *Options) { o.Keep = -1 }},
		{"time limit", func(o *Options) { o.MaxTime = -time.Second }},
		{"dtype", func(o *Options) { o.DType = "I8" }},
		{"f32 or bf16", func(o *Options) { o.Precision = kernels.Int8 }},
		{"learnt in f32", func(o *Options) { o.DPO, o.Precision = &DPO{}, kernels.BFloat16 }},
		{"unknown loss", func(o *Options) { o.Loss = "some" }},
	} {
		o := Options{Out: "out", Data: []corpora.Source{{Path: "a.jsonl"}}}
		tt.change(&o)
		o.EnsureDefaults()
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("want an error with %q, got %v", tt.want, err)
		}
	}
	o := Options{Out: "out", Data: []corpora.Source{{Path: "a.jsonl"}}, MinLR: -1, Warmup: -1, WeightDecay: -1, Clip: -1, EvalEvery: -1}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		t.Error(err)
	}
	if s := o.schedule(); s.Floor != 0 || s.Warmup != 0 || s.Peak != 1e-3 {
		t.Errorf("schedule %+v", s)
	}
}

func TestEvery(t *testing.T) {
	for text, want := range map[string]Every{
		"500": {Steps: 500}, "5m": {Time: 5 * time.Minute}, "1h30m0s": {Time: 90 * time.Minute},
	} {
		var e Every
		if err := e.UnmarshalText([]byte(text)); err != nil || e != want {
			t.Errorf("%q is %+v, %v", text, e, err)
		}
		back, err := e.MarshalText()
		var again Every
		if err != nil || again.UnmarshalText(back) != nil || again != e {
			t.Errorf("%q becomes %q, %v", text, back, err)
		}
	}
	for _, text := range []string{"", "0", "-3", "m", "-5m", "1.5", "5 m"} {
		if err := new(Every).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	e := Every{Steps: 10, Time: time.Minute}
	if e.due(9, time.Second) || !e.due(10, 0) || !e.due(9, time.Minute) {
		t.Error("due is wrong")
	}
}

func TestParseDType(t *testing.T) {
	for text, want := range map[string]DType{"": F32, "f32": F32, "BF16": BF16, "f16": F16} {
		if got, err := ParseDType(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	if _, err := ParseDType("int8"); err == nil {
		t.Error("int8 is accepted")
	}
}

// TestGoOn trains a model on: by epochs, on the replies alone, stored as BF16.
func TestGoOn(t *testing.T) {
	first := smallOptions(t)
	if _, err := Train(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	o := Options{
		Out: filepath.Join(t.TempDir(), "run"), Model: first.Out, Data: first.Data, Valid: first.Valid,
		Loss: corpora.LossReplies, Epochs: 2, Rows: 256, LR: 3e-3, DType: BF16, Last: true,
	}
	var rec recorder
	result, err := Train(t.Context(), o, &rec)
	if err != nil {
		t.Fatal(err)
	}
	if e := rec.steps[len(rec.steps)-1].Epoch; math.Abs(e-2) > 0.2 || result.Steps != len(rec.steps) {
		t.Errorf("%d steps of %d came to %v epochs", len(rec.steps), result.Steps, e)
	}
	a, b := readAll(t, first.Out), readAll(t, o.Out)
	if a["tokenizer.json"] == "" || a["tokenizer.json"] != b["tokenizer.json"] {
		t.Error("the tokenizer has changed")
	}
	if len(b["model.safetensors"]) > len(a["model.safetensors"])*6/10 {
		t.Errorf("BF16 takes %d bytes, F32 %d", len(b["model.safetensors"]), len(a["model.safetensors"]))
	}
	measure := func(model string, loss corpora.Loss) Report {
		r, err := Evaluate(t.Context(), EvalOptions{Model: model, Data: first.Valid, Loss: loss})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before, after := measure(first.Out, corpora.LossReplies), measure(o.Out, corpora.LossReplies)
	if !(after.BitsPerByte < before.BitsPerByte) {
		t.Errorf("replies took %v bits per byte before and %v after", before.BitsPerByte, after.BitsPerByte)
	}
	if all := measure(o.Out, corpora.LossAll); all.TextBytes <= after.TextBytes || all.Tokens <= after.Tokens {
		t.Errorf("measured on all turns: %+v, on replies: %+v", all.Score, after.Score)
	}
	if last := rec.validations[len(rec.validations)-1]; math.Abs(last.Loss-after.Loss) > 0.02 {
		t.Errorf("the last validation says %v, the exported model %v", last.Loss, after.Loss)
	}
}
