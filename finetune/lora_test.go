package finetune

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/corpora"
	"causerie/models/lora"
)

// loraOptions is a run that trains an adapter for a tiny model, which has
// learnt something else for so many steps.
func loraOptions(t testing.TB, steps int) Options {
	t.Helper()
	base := smallOptions(t)
	base.Steps = steps
	if _, err := Train(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	o := smallOptions(t)
	o.Data = []corpora.Source{{Path: corpus(t, "other", 60, 5)}}
	o.Valid = []string{corpus(t, "other", 12, 5)}
	o.Model, o.LoRA, o.Merge = base.Out, &lora.Config{Rank: 3, Dropout: 0.2, Targets: []string{lora.AllLinear}}, true
	return o
}

func TestLoRALearns(t *testing.T) {
	o := loraOptions(t, 100)
	o.Steps, o.EvalEvery, o.EvalFirst, o.LR = 45, 15, true, 3e-2
	before := readAll(t, o.Model)
	var rec recorder
	result, err := Train(t.Context(), o, &rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(rec.validations) != 4 || rec.validations[0].Step != 0 || !rec.validations[0].Best {
		t.Fatalf("validations %+v", rec.validations)
	}
	first, last := rec.validations[0], rec.validations[3]
	if !(last.Loss < 0.9*first.Loss) || result.BestLoss != last.Loss {
		t.Errorf("validation loss %g, then %g; result %+v", first.Loss, last.Loss, result)
	}
	if was, err := Evaluate(t.Context(), EvalOptions{Model: o.Model, Data: o.Valid}); err != nil || was.Loss != first.Loss {
		t.Errorf("the base has a loss of %g, the run began with %g, %v", was.Loss, first.Loss, err)
	}
	if params := 2 * 3 * ((16 + 48) + (16 + 16) + 2*(16+64)); rec.start.Parameters != params {
		t.Errorf("%d parameters are trained, want %d", rec.start.Parameters, params)
	}
	for name, data := range readAll(t, o.Model) {
		if before[name] != data {
			t.Errorf("the base's %s has changed", name)
		}
	}
	// The adapter's folder and the merged one are the same model.
	for _, dir := range []string{o.Out, filepath.Join(o.Out, "merged")} {
		report, err := Evaluate(t.Context(), EvalOptions{Model: dir, Data: o.Valid, Threads: 2})
		if err != nil || math.Abs(report.Loss-last.Loss) > 1e-5 {
			t.Errorf("%s: loss %g, want %g; %v", dir, report.Loss, last.Loss, err)
		}
	}
}

func TestLoRAResumeBitExact(t *testing.T) {
	o := loraOptions(t, 3)
	o.Last = true
	want := resumeBitExact(t, o)
	// The dropout and the seed are part of the run.
	o.Out, o.Seed = filepath.Join(t.TempDir(), "run"), 8
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if readAll(t, o.Out)["adapter_model.safetensors"] == want["adapter_model.safetensors"] {
		t.Error("another seed gave the same adapter")
	}
}

// resumeBitExact trains without a stop, on two threads, and stopped and resumed,
// and expects the same files, which it returns.
func resumeBitExact(t *testing.T, o Options) (want map[string]string) {
	t.Helper()
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want = readAll(t, o.Out)
	for _, tt := range []struct {
		name    string
		stops   []int
		threads int
	}{
		{"two threads", nil, 2},
		{"stopped", []int{1, 2, 5, 11}, 2},
		{"stopped at the last step", []int{12}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := o
			o.Out, o.Resume, o.Threads = filepath.Join(t.TempDir(), "run"), true, tt.threads
			for i, step := range tt.stops {
				o.SaveEvery, o.Threads = Every{Time: time.Hour}, 1+i%2
				interruptAt(t, o, step)
			}
			if _, err := Train(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			compareRuns(t, want, readAll(t, o.Out))
		})
	}
	return want
}

func TestLoRAResumesOnlyItself(t *testing.T) {
	o := loraOptions(t, 3)
	o.Resume = true
	interruptAt(t, o, 2)
	base := filepath.Join(o.Model, "model.safetensors")
	data, err := os.ReadFile(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, want string
		change     func(o *Options)
	}{
		{"another rank", "lora was rank 3", func(o *Options) { o.LoRA = &lora.Config{Rank: 4} }},
		{"no adapter", "now it is not given", func(o *Options) { o.LoRA, o.Merge = nil, false }},
		{"another base", "the weights of the base model have changed", func(o *Options) {
			changed := []byte(string(data))
			changed[len(changed)-2] ^= 1
			if err := os.WriteFile(base, changed, 0o644); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		o := o
		tt.change(&o)
		_, err := Train(t.Context(), o)
		if mismatch := (*MismatchError)(nil); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := os.WriteFile(base, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Train(t.Context(), o); err != nil {
		t.Errorf("the same run: %v", err)
	}
}

func TestPatience(t *testing.T) {
	o := smallOptions(t)
	o.Steps, o.EvalEvery, o.LR, o.Patience, o.EvalFirst, o.Clip, o.Resume = 400, 2, 0.1, 3, true, -1, true
	var rec recorder
	result, err := Train(t.Context(), o, &rec)
	if err != nil {
		t.Fatal(err)
	}
	if !result.Stale || result.Step == 400 || result.TimeUp {
		t.Fatalf("result %+v", result)
	}
	if want := result.Step - 6; result.ResultStep != want {
		t.Errorf("stopped at step %d with the weights of %d, want those of %d", result.Step, result.ResultStep, want)
	}
	report, err := Evaluate(t.Context(), EvalOptions{Model: o.Out, Data: o.Valid})
	if err != nil || report.Loss != result.BestLoss {
		t.Errorf("the result has a loss of %g, want the best one, %g; %v", report.Loss, result.BestLoss, err)
	}
	// With more patience the run goes on from where it stopped.
	o.Patience = 5
	again, err := Train(t.Context(), o)
	if err != nil || again.Step <= result.Step {
		t.Errorf("with more patience: %+v, %v", again, err)
	}
}

func TestHoldOut(t *testing.T) {
	o := smallOptions(t)
	o.Valid, o.HoldOut = nil, 0.2
	var rec recorder
	if _, err := Train(t.Context(), o, &rec); err != nil {
		t.Fatal(err)
	}
	if len(rec.validations) == 0 || rec.validations[0].Files[0].File != "held out" {
		t.Fatalf("validations %+v", rec.validations)
	}
	held := rec.validations[0].Dialogues
	if held < 3 || rec.start.Dialogues+held != 80 {
		t.Errorf("%d dialogues to learn and %d held out", rec.start.Dialogues, held)
	}
}
