package finetune

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causerie/corpora"
	"causerie/models/lora"
)

// preferenceCorpus writes made-up preferences: of two replies, the one with the
// lucky word is better.
func preferenceCorpus(t testing.TB, name string, n, seed int) string {
	t.Helper()
	words := []string{"tea", "rain", "music", "books", "你好", "天气", "good", "happy", "猫", "walk"}
	var b strings.Builder
	for i := range n {
		pick := func(k int) string { return words[(i*7+k*3+seed)%len(words)] }
		fmt.Fprintf(&b, `{"input":{"messages":[{"role":"user","content":"do you like %s and %s?"}]},`+
			`"preferred_output":[{"role":"assistant","content":"%s"}],"non_preferred_output":[{"role":"assistant","content":"%s"}]}`+"\n",
			pick(0), pick(i/10), "yes, happy "+pick(2), "no, "+pick(3)+" and rain "+pick(i))
	}
	path := filepath.Join(t.TempDir(), name+".jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// dpoOptions is a run that learns from preferences, beginning with a tiny model
// that has learnt something else for so many steps.
func dpoOptions(t testing.TB, steps int) Options {
	t.Helper()
	base := smallOptions(t)
	base.Steps = steps
	if _, err := Train(t.Context(), base); err != nil {
		t.Fatal(err)
	}
	return Options{
		Out:   filepath.Join(t.TempDir(), "run"),
		Model: base.Out, DPO: &DPO{}, Context: 64,
		Data:  []corpora.Source{{Path: preferenceCorpus(t, "train", 60, 0)}, {Path: preferenceCorpus(t, "more", 20, 4), Weight: 2.5}},
		Valid: []string{preferenceCorpus(t, "valid", 15, 2)},
		Rows:  256, Accumulate: 2, Steps: 12, Warmup: 3, LR: 1e-2, EvalEvery: 5,
		SaveEvery: Every{Steps: 4}, Seed: 7, Threads: 1,
	}
}

// dpoLoRAOptions is the same with an adapter.
func dpoLoRAOptions(t testing.TB, steps int) Options {
	o := dpoOptions(t, steps)
	o.LoRA, o.Merge = &lora.Config{Rank: 3, Dropout: 0.2, Targets: []string{lora.AllLinear}}, true
	return o
}

func TestPreferencesAreLearnt(t *testing.T) {
	for name, o := range map[string]Options{"model": dpoOptions(t, 30), "adapter": dpoLoRAOptions(t, 30)} {
		t.Run(name, func(t *testing.T) {
			o.Steps, o.EvalEvery, o.EvalFirst = 40, 10, true
			before := readAll(t, o.Model)
			var rec recorder
			result, err := Train(t.Context(), o, &rec)
			if err != nil {
				t.Fatal(err)
			}
			// Before the first step, the model is its own reference.
			first, last := rec.validations[0], rec.validations[len(rec.validations)-1]
			if r := first.Rewards; math.Abs(first.Loss-math.Ln2) > 1e-15 || r == nil || *r != (Rewards{Pairs: 15}) {
				t.Errorf("at the start: loss %v, rewards %+v", first.Loss, r)
			}
			if first.Perplexity != 0 || first.BitsPerByte != 0 || first.Dialogues != 15 {
				t.Errorf("score %+v", first.Score)
			}
			r := last.Rewards
			if !(last.Loss < 0.4) || result.BestLoss > last.Loss || r.Accuracy < 0.9 || !(r.Margin > 1) || math.Abs(r.Chosen-r.Rejected-r.Margin) > 1e-9 {
				t.Errorf("at the end: loss %g, rewards %+v, result %+v", last.Loss, r, result)
			}
			step := rec.steps[len(rec.steps)-1]
			if step.Rewards == nil || step.Rewards.Pairs < 4 || step.Rewards.Margin < rec.steps[0].Rewards.Margin {
				t.Errorf("the last step %+v, %+v", step, step.Rewards)
			}
			for file, data := range readAll(t, o.Model) {
				if before[file] != data {
					t.Errorf("the base's %s has changed", file)
				}
			}
			// What the run says is true of the model that it left behind.
			if margin := marginOf(t, o); math.Abs(margin-r.Margin) > 1e-3 && result.ResultStep == last.Step {
				t.Errorf("the result has a margin of %g, the last validation said %g", margin, r.Margin)
			}
		})
	}
}

// marginOf measures a run's result anew: the mean difference of rewards on the
// validation data, from the losses of the replies alone.
func marginOf(t *testing.T, o Options) (margin float64) {
	t.Helper()
	data, err := os.ReadFile(o.Valid[0])
	if err != nil {
		t.Fatal(err)
	}
	var sum, pairs float64
	for _, rejected := range []bool{false, true} {
		var b strings.Builder
		for line := range strings.Lines(string(data)) {
			var p struct {
				Input     struct{ Messages []json.RawMessage }
				Preferred []json.RawMessage `json:"preferred_output"`
				Rejected  []json.RawMessage `json:"non_preferred_output"`
			}
			if err := json.Unmarshal([]byte(line), &p); err != nil {
				t.Fatal(err)
			}
			reply := p.Preferred
			if rejected {
				reply = p.Rejected
			}
			fmt.Fprintf(&b, `{"messages":[%s,%s]}`+"\n", p.Input.Messages[0], reply[0])
			pairs += 0.5
		}
		file := filepath.Join(t.TempDir(), "chat.jsonl")
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, model := range []string{o.Out, o.Model} {
			report, err := Evaluate(t.Context(), EvalOptions{Model: model, Data: []string{file}, Loss: corpora.LossReplies})
			if err != nil {
				t.Fatal(err)
			}
			logProb := -report.Loss * float64(report.Tokens)
			if rejected != (model == o.Model) {
				logProb = -logProb
			}
			sum += 0.1 * logProb
		}
	}
	return sum / pairs
}

func TestPreferencesResumeBitExact(t *testing.T) {
	for kind, o := range map[string]Options{"model": dpoOptions(t, 3), "adapter": dpoLoRAOptions(t, 3)} {
		t.Run(kind, func(t *testing.T) {
			o.Last = true
			if files := resumeBitExact(t, o); files["checkpoints/step-000012/reference.json"] == "" {
				t.Error("the reference is not in the checkpoint")
			}
		})
	}
}

// TestPreferencesResumeOnlyThemselves: beta and the method are part of a run;
// other validation data are measured against the model that it started from.
func TestPreferencesResumeOnlyThemselves(t *testing.T) {
	for kind, o := range map[string]Options{"model": dpoOptions(t, 3), "adapter": dpoLoRAOptions(t, 3)} {
		t.Run(kind, func(t *testing.T) {
			o.Resume = true
			interruptAt(t, o, 6)
			for _, tt := range []struct {
				name, want string
				change     func(o *Options)
			}{
				{"another beta", "method was dpo, beta 0.1, now it is dpo, beta 0.5", func(o *Options) { o.DPO = &DPO{Beta: 0.5} }},
				{"supervised", "method was dpo, beta 0.1, now it is not given", func(o *Options) { o.DPO = nil }},
				{"other preferences", "the training data", func(o *Options) { o.Data = []corpora.Source{{Path: preferenceCorpus(t, "new", 30, 9)}} }},
			} {
				o := o
				tt.change(&o)
				_, err := Train(t.Context(), o)
				if mismatch := (*MismatchError)(nil); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
				}
			}
			o.Valid = []string{preferenceCorpus(t, "others", 12, 8)}
			o.EvalEvery = 1
			interruptAt(t, o, 7)
			if kind == "model" {
				// Without the base, yet other data cannot be compared with it.
				o := o
				o.Valid = []string{preferenceCorpus(t, "again", 11, 3)}
				base := filepath.Join(o.Model, "model.safetensors")
				data, err := os.ReadFile(base)
				if err != nil {
					t.Fatal(err)
				}
				changed := []byte(string(data))
				changed[len(changed)-2] ^= 1
				if err := os.WriteFile(base, changed, 0o644); err != nil {
					t.Fatal(err)
				}
				if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), "has changed since the run began") {
					t.Errorf("over another base: %v", err)
				}
			}
			var rec recorder
			if _, err := Train(t.Context(), o, &rec); err != nil {
				t.Fatal(err)
			}
			if v := rec.validations[0]; v.Rewards.Pairs != 12 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestPreferencesPatience: the run ends when the validation loss no longer
// falls, and leaves its best weights.
func TestPreferencesPatience(t *testing.T) {
	o := dpoOptions(t, 3)
	o.Steps, o.EvalEvery, o.LR, o.Patience, o.EvalFirst, o.Clip = 300, 2, 0.1, 3, true, -1
	result, err := Train(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if !result.Stale || result.ResultStep != result.Step-6 || result.BestLoss > math.Ln2+1e-12 {
		t.Errorf("result %+v", result)
	}
}

func TestBadPreferenceOptions(t *testing.T) {
	o := dpoOptions(t, 3)
	for _, tt := range []struct {
		want   string
		change func(*Options)
	}{
		{"name the one to start from", func(o *Options) { o.Model = "" }},
		{"beta of the preferences must be positive", func(o *Options) { o.DPO = &DPO{Beta: -1} }},
		{"beta of the preferences must be positive", func(o *Options) { o.DPO = &DPO{Beta: math.NaN()} }},
		{"files of the format openai hold no preferences", func(o *Options) { o.Format = corpora.FormatOpenAI }},
		{`only the replies are learnt, not "all"`, func(o *Options) { o.Loss = corpora.LossAll }},
		{"cannot hold the longest pair of examples", func(o *Options) { o.Rows = 64 }},
		{`key "input" is missing`, func(o *Options) { o.Data = []corpora.Source{{Path: corpus(t, "chats", 5, 1)}} }},
	} {
		o := o
		o.Out = filepath.Join(t.TempDir(), "run")
		tt.change(&o)
		if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
