package finetune

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/corpora"
	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// spoiled is a network that breaks at some call.
type spoiled struct {
	network
	calls, at int
	loss      float64
	spoil     func()
}

func (s *spoiled) LossAndGrad(segments []gpt2.Segment, targets []int32, weights []float32, scale float32) (gpt2.LossSum, error) {
	loss, err := s.network.LossAndGrad(segments, targets, weights, scale)
	if s.calls++; s.calls == s.at {
		loss.Sum += s.loss
		if s.spoil != nil {
			s.spoil()
		}
	}
	return loss, err
}

// spoil puts a network that breaks into a trainer.
func spoil(tr *trainer, s *spoiled) {
	o := tr.objective.(*supervised)
	s.network, o.network = o.network, s
}

// newTrainer makes a trainer for a test to tamper with.
func newTrainer(t *testing.T, o Options, hooks ...Hook) *trainer {
	t.Helper()
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	pool := kernels.NewPool(o.Threads)
	t.Cleanup(pool.Close)
	tr, err := (&setup{o: &o, pool: pool, hooks: hooks}).trainer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestDiverged(t *testing.T) {
	for _, tt := range []struct {
		name string
		loss float64
		grad float32
		want string
	}{
		{"loss NaN", math.NaN(), 0, "step 6: the loss of batch 2 of 2"},
		{"loss infinite", math.Inf(1), 0, "step 6: the loss of batch 2 of 2"},
		{"gradient NaN", 0, float32(math.NaN()), "step 6: the length of the gradient"},
		{"gradient infinite", 0, float32(math.Inf(-1)), "step 6: the length of the gradient"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := smallOptions(t)
			tr := newTrainer(t, o)
			grad := tr.folder.model.Params()[3].Grad
			spoil(tr, &spoiled{at: 12, loss: tt.loss, spoil: func() { grad[0] += tt.grad }})
			_, err := tr.run(t.Context())
			if !errors.Is(err, ErrDiverged) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "step-000005") {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			// The run can go on from where it was sound.
			o.Resume = true
			if _, err := Train(t.Context(), o); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestInterruptedWithinStep stops a run between the batches of a step: the step
// is given up, and a resumed run takes it with the same batches.
func TestInterruptedWithinStep(t *testing.T) {
	o := smallOptions(t)
	o.Last = true
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, o.Out)

	o.Out, o.Resume = filepath.Join(t.TempDir(), "run"), true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tr := newTrainer(t, o)
	spoil(tr, &spoiled{at: 13, spoil: cancel}) // the first batch of step 7
	_, err := tr.run(ctx)
	if stopped, ok := errors.AsType[*Interrupted](err); !ok || stopped.Step != 6 {
		t.Fatalf("error %v", err)
	}
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, o.Out)
	got["metrics.jsonl"] = want["metrics.jsonl"] // the tampered trainer wrote none
	compareRuns(t, want, got)
}

// TestOutIsTaken refuses folders in which something would be overwritten.
func TestOutIsTaken(t *testing.T) {
	o := smallOptions(t)
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(o.Out, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	for _, resume := range []bool{false, true} {
		o.Resume = resume
		if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds a model") {
			t.Errorf("resume %v: error %v", resume, err)
		}
	}
	o.Model = o.Out + "/"
	if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), "would replace") {
		t.Errorf("error %v", err)
	}
}

func TestMaxTime(t *testing.T) {
	o := smallOptions(t)
	o.Last = true
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, o.Out)

	o.Out, o.MaxTime, o.Resume = filepath.Join(t.TempDir(), "run"), time.Nanosecond, true
	result, err := Train(t.Context(), o)
	if err != nil || !result.TimeUp || result.Step != 0 {
		t.Fatalf("result %+v, %v", result, err)
	}
	// A clock that jumps ahead at step 7.
	o.MaxTime = time.Hour
	tr := newTrainer(t, o)
	now := time.Now()
	tr.clock = newClock(func() time.Time { return now }, 0)
	tr.hooks = []Hook{&recorder{onStep: func(s Step) error {
		if s.Step == 7 {
			now = now.Add(time.Hour)
		}
		return nil
	}}}
	if timeUp, err := tr.run(t.Context()); err != nil || !timeUp || tr.state.Step != 7 {
		t.Fatalf("time up %v after step %d, %v", timeUp, tr.state.Step, err)
	}
	o.MaxTime = 0
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got := readAll(t, o.Out)
	got["metrics.jsonl"] = want["metrics.jsonl"] // the tampered trainer wrote none
	compareRuns(t, want, got)
}

func TestResumeRefusesOtherRuns(t *testing.T) {
	o := smallOptions(t)
	interruptAt(t, o, 3)
	if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), "step 3") {
		t.Errorf("without Resume, the error is %v", err)
	}
	o.Resume = true
	other := corpus(t, "other", 20, 5)
	for _, tt := range []struct {
		want   string
		change func(*Options)
	}{
		{"lr was 0.01, now it is 0.02", func(o *Options) { o.LR, o.MinLR = 0.02, 0.001 }},
		{"steps was 12, now it is 13", func(o *Options) { o.Steps = 13 }},
		{"seed was 7, now it is 8", func(o *Options) { o.Seed = 8 }},
		{"the training data", func(o *Options) { o.Data[1].Path = other }},
		{"the training data", func(o *Options) { o.Data[1].Weight = 2 }},
		{"loss was all, now it is replies", func(o *Options) { o.Loss = corpora.LossReplies }},
		{"context was 64, now it is 128", func(o *Options) { o.Context = 128 }},
		{"width was 16, now it is 32", func(o *Options) { o.Width = 32 }},
		{"vocab was 300, now it is 280", func(o *Options) { o.Vocab = 280 }},
		{"rows was 128, now it is 256", func(o *Options) { o.Rows = 256 }},
		{"clip was 1, now it is 0", func(o *Options) { o.Clip = -1 }},
	} {
		o := o
		o.Data = append([]corpora.Source{}, o.Data...)
		tt.change(&o)
		_, err := Train(t.Context(), o)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.want, err)
		}
	}
	// What does not change the result may change.
	o.Threads, o.Keep, o.SaveEvery, o.EvalEvery, o.DType = 2, 5, Every{Steps: 1}, 3, BF16
	o.Valid = []string{other, o.Valid[0]}
	moved := filepath.Join(t.TempDir(), "moved.jsonl")
	data, err := os.ReadFile(o.Data[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(moved, data, 0o644); err != nil {
		t.Fatal(err)
	}
	o.Data[0].Path = moved
	if _, err := Train(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestSaveFails(t *testing.T) {
	o := smallOptions(t)
	rec := recorder{onStep: func(s Step) error {
		if s.Step == 6 { // something is in the way of the next checkpoint
			return os.MkdirAll(filepath.Join(o.Out, "checkpoints", "step-000008", "in the way"), 0o755)
		}
		return nil
	}}
	_, err := Train(t.Context(), o, &rec)
	if err == nil || !strings.Contains(err.Error(), "step-000008") {
		t.Fatalf("error %v", err)
	}
	if err := os.RemoveAll(filepath.Join(o.Out, "checkpoints", "step-000008")); err != nil {
		t.Fatal(err)
	}
	o.Resume = true
	rec = recorder{}
	if _, err := Train(t.Context(), o, &rec); err != nil || rec.start.Step != 5 {
		t.Errorf("resumed from step %d, %v", rec.start.Step, err)
	}
}

func TestOutCannotBeMade(t *testing.T) {
	o := smallOptions(t)
	o.Out = filepath.Join(o.Data[0].Path, "run") // below a file
	if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Out) {
		t.Errorf("error %v", err)
	}
}

func TestHookEndsRun(t *testing.T) {
	stop := errors.New("enough")
	o := smallOptions(t)
	_, err := Train(t.Context(), o, &recorder{onStep: func(s Step) error {
		if s.Step == 7 {
			return stop
		}
		return nil
	}})
	if !errors.Is(err, stop) {
		t.Fatalf("error %v", err)
	}
	o.Resume = true
	var rec recorder
	if _, err := Train(t.Context(), o, &rec); err != nil || rec.start.Step != 7 {
		t.Errorf("resumed from step %d, %v", rec.start.Step, err)
	}
}

func TestDamagedCheckpoint(t *testing.T) {
	for _, tt := range []struct {
		file string
		data string
	}{
		{"state.json", "{"},
		{"state.json", `{"format": 99}`},
		{"state.json", ""},
		{"optimizer.safetensors", "short"},
		{"model.safetensors", "short"},
		{"config.json", "{}"},
	} {
		o := smallOptions(t)
		interruptAt(t, o, 2)
		o.Resume = true
		path := filepath.Join(o.Out, "checkpoints", "step-000002", tt.file)
		if err := os.WriteFile(path, []byte(tt.data), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Train(t.Context(), o); err == nil || !strings.Contains(err.Error(), filepath.ToSlash(path)) {
			t.Errorf("%s = %q: error %v", tt.file, tt.data, err)
		}
	}
}
