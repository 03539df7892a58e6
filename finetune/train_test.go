package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"causerie/corpora"
	"causerie/models/kernels"
)

// corpus writes a small corpus of made-up dialogues and returns its path.
func corpus(t testing.TB, name string, dialogues, seed int) string {
	t.Helper()
	words := []string{"tea", "rain", "music", "books", "你好", "天气", "good", "happy", "猫", "walk"}
	var b strings.Builder
	for i := range dialogues {
		pick := func(k int) string { return words[(i*7+k*3+seed)%len(words)] }
		fmt.Fprintf(&b, `{"id":"%s-%d","turns":["do you like %s and %s?","yes, %s is %s.","why %s?","because of %s."]}`+"\n",
			name, i, pick(0), pick(1), pick(0), pick(2), pick(3), pick(i))
	}
	path := filepath.Join(t.TempDir(), name+".jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallOptions is a run of a tiny model that takes a fraction of a second.
func smallOptions(t testing.TB) Options {
	return Options{
		Out:   filepath.Join(t.TempDir(), "run"),
		Data:  []corpora.Source{{Path: corpus(t, "train", 60, 0)}, {Path: corpus(t, "more", 20, 4), Weight: 2.5}},
		Valid: []string{corpus(t, "valid", 12, 1)},
		Vocab: 300, Layers: 2, Width: 16, Heads: 2, Context: 64,
		Rows: 128, Accumulate: 2, Steps: 12, Warmup: 3, LR: 1e-2, EvalEvery: 5,
		SaveEvery: Every{Steps: 4}, Seed: 7, Threads: 1,
	}
}

// recorder keeps what it is told.
type recorder struct {
	NoHook
	start       Start
	steps       []Step
	validations []Validation
	checkpoints []Checkpoint
	result      Result
	onStep      func(Step) error
}

func (r *recorder) OnStart(s Start) error { r.start = s; return nil }
func (r *recorder) OnStep(s Step) error {
	r.steps = append(r.steps, s)
	if r.onStep != nil {
		return r.onStep(s)
	}
	return nil
}
func (r *recorder) OnValidation(v Validation) error {
	r.validations = append(r.validations, v)
	return nil
}
func (r *recorder) OnCheckpoint(c Checkpoint) error {
	r.checkpoints = append(r.checkpoints, c)
	return nil
}
func (r *recorder) OnEnd(res Result) error { r.result = res; return nil }

func TestTrainFromScratch(t *testing.T) {
	o := smallOptions(t)
	o.Steps, o.EvalEvery = 40, 10
	var rec recorder
	result, err := Train(t.Context(), o, &rec)
	if err != nil {
		t.Fatal(err)
	}
	if result.Step != 40 || result.TimeUp || len(rec.steps) != 40 || len(rec.validations) != 4 {
		t.Errorf("result %+v after %d steps and %d validations", result, len(rec.steps), len(rec.validations))
	}
	first, last := rec.validations[0], rec.validations[3]
	if !(last.Loss < first.Loss) || !(last.BitsPerByte < first.BitsPerByte) || !(rec.steps[39].Loss < rec.steps[0].Loss*0.8) {
		t.Errorf("nothing was learnt: validation %+v, then %+v; steps %+v, %+v", first.Score, last.Score, rec.steps[0], rec.steps[39])
	}
	if rec.start.Vocab > 300 || rec.start.Dialogues != 80 || rec.start.Resumed {
		t.Errorf("start %+v", rec.start)
	}

	// The result is a model folder like any other, and measuring it gives what
	// the training measured.
	report, err := Evaluate(t.Context(), EvalOptions{Model: o.Out, Data: o.Valid, Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if report.Loss != last.Loss || report.BitsPerByte != last.BitsPerByte || report.Dialogues != 12 || len(report.Files) != 1 {
		t.Errorf("evaluation %+v, validation %+v", report, last)
	}
	steps, err := checkpoints(filepath.Join(o.Out, "checkpoints")).steps()
	if err != nil || !slices.Equal(steps, []int{40, 36}) {
		t.Errorf("checkpoints %v, %v", steps, err)
	}
}

// interruptAt trains until some step and expects to be interrupted there.
func interruptAt(t *testing.T, o Options, step int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	rec := recorder{onStep: func(s Step) error {
		if s.Step == step {
			cancel()
		}
		return nil
	}}
	_, err := Train(ctx, o, &rec)
	var stopped *Interrupted
	if !errors.As(err, &stopped) || stopped.Step != step || !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupting at step %d: %v", step, err)
	}
}

func TestResumeBitExact(t *testing.T) {
	o := smallOptions(t)
	o.Last = true
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, o.Out)
	for _, tt := range []struct {
		name    string
		stops   []int
		threads int
	}{
		{"two threads", nil, 2},
		{"stopped once", []int{5}, 1},
		{"stopped at every step", []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 2},
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
}

// readAll reads the files of a run.
func readAll(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		files[rel] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// compareRuns expects equal weights, optimizers and tokenizers in the result
// and in the last checkpoint.
func compareRuns(t *testing.T, want, got map[string]string) {
	t.Helper()
	compared := 0
	for name, data := range want {
		if strings.HasSuffix(name, "state.json") || strings.HasSuffix(name, "metrics.jsonl") ||
			strings.HasPrefix(name, "checkpoints") && !strings.HasPrefix(name, "checkpoints/step-000012") {
			continue
		}
		compared++
		if got[name] != data {
			t.Errorf("%s differs (%d bytes, want %d)", name, len(got[name]), len(data))
		}
	}
	if compared < 12 {
		t.Errorf("only %d files were compared", compared)
	}
	if a, b := steps(want["metrics.jsonl"]), steps(got["metrics.jsonl"]); a != b {
		t.Errorf("the curves differ:\n%s\n%s", a, b)
	}
}

// steps is a training curve without what depends on the clock.
func steps(curve string) string {
	var b strings.Builder
	for line := range strings.Lines(curve) {
		before, _, _ := strings.Cut(line, `,"tokens_per_second"`)
		b.WriteString(strings.TrimSpace(before) + "\n")
	}
	return b.String()
}

// TestBackgroundKeepsBits trains beside an engine that is busy most of the time.
func TestBackgroundKeepsBits(t *testing.T) {
	o := smallOptions(t)
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, o.Out)[weightsFile]
	o.Out, o.Background, o.Threads = filepath.Join(t.TempDir(), "run"), true, 2
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 50 {
			kernels.Claim()
			time.Sleep(5 * time.Millisecond)
			kernels.Release()
			time.Sleep(time.Millisecond)
		}
	}()
	_, err := Train(t.Context(), o)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, o.Out)[weightsFile]; got == "" || got != want {
		t.Error("the weights differ")
	}
}
