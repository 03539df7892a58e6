package finetune

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"causerie/internal/durable"
)

var update = flag.Bool("update", false, "write the golden files anew")

// tell reports a short made-up run to a hook.
func tell(t *testing.T, h Hook) {
	t.Helper()
	for _, err := range []error{
		h.OnStage("reading the corpora"),
		h.OnStart(Start{Out: "runs/a", Resumed: true, Step: 2, Steps: 5, Validated: 2, Parameters: 7_400_000, Vocab: 10000,
			Dialogues: 1200, Examples: 1300, Tokens: 250_000, SkippedBad: 3, Threads: 2}),
		h.OnStep(Step{Step: 3, Steps: 5, Loss: 4, LR: 1e-3, GradNorm: 1.5, Tokens: 6000, TokensPerSecond: 4321, Epoch: 0.5, Seconds: 9, SecondsLeft: 3723}),
		h.OnStep(Step{Step: 4, Steps: 5, Loss: 3, LR: 5e-4, GradNorm: 1.25, Tokens: 8000, TokensPerSecond: 432, Epoch: 0.75, Seconds: 12, SecondsLeft: 3}),
		h.OnValidation(Validation{Step: 4, Score: Score{Loss: 3.5, Perplexity: 33.1, BitsPerByte: 1.75, Tokens: 100, Dialogues: 5, TextBytes: 400}, Best: true,
			Files: []Score{{File: "a.jsonl", Loss: 3.5, Perplexity: 33.1, BitsPerByte: 1.75, Tokens: 100, Dialogues: 5, TextBytes: 400}}}),
		h.OnValidation(Validation{Step: 5, Score: Score{Loss: 0.5, Tokens: 100, Rewards: &Rewards{Chosen: 1, Rejected: -0.25, Margin: 1.25, Accuracy: 0.875, Pairs: 8}}}),
		h.OnCheckpoint(Checkpoint{Step: 4, Path: "runs/a/checkpoints/step-000004"}),
		h.OnStep(Step{Step: 5, Steps: 5, Loss: 2.75, LR: 1e-4, GradNorm: 1, Tokens: 10000, TokensPerSecond: 4321, Epoch: 1, Seconds: 15}),
		h.OnEnd(Result{Out: "runs/a", Step: 5, Steps: 5, ResultStep: 4, BestLoss: 3.5, Checkpoint: "runs/a/checkpoints/step-000005", Tokens: 10000, Seconds: 15}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestJSONLines holds the lines that programs read against a golden file; run
// with -update to write it anew.
func TestJSONLines(t *testing.T) {
	var b bytes.Buffer
	tell(t, NewJSONLines(&b, 2))
	const golden = "testdata/events.jsonl"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestProgress(t *testing.T) {
	var b bytes.Buffer
	tell(t, NewProgress(&b))
	for _, want := range []string{
		"reading the corpora", "after step 2", "7.4 M parameters", "1200 dialogues", "3 bad lines",
		"(5/5)",
		"step 4: validation loss 3.5000, perplexity 33.10, 1.7500 bits per byte  (best so far)", "weights of step 4 are in runs/a",
		"step 5: validation loss 0.5000, reward margin 1.250, the preferred reply wins in 87.5 % of 8 pairs",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, b.String())
		}
	}
	got := new(progress).describe(Step{Loss: 4, LR: 1e-3, TokensPerSecond: 4321, SecondsLeft: 3723})
	if want := " loss 4.000  lr 1.00e-03  4.32k tok/s  1h2m3s left"; got != want {
		t.Errorf("beside the bar stands %q, want %q", got, want)
	}
	got = new(progress).describe(Step{Loss: 0.5, LR: 1e-3, TokensPerSecond: 4321, SecondsLeft: 3, Rewards: &Rewards{Margin: 1.25}})
	if want := " loss 0.500  margin 1.25  lr 1.00e-03  4.32k tok/s  3s left"; got != want {
		t.Errorf("beside the bar stands %q, want %q", got, want)
	}
}

func TestCurveUntil(t *testing.T) {
	const (
		one   = `{"event":"step","step":1,"loss":2}` + "\n"
		two   = `{"event":"step","step":2,"loss":2}` + "\n"
		valid = `{"event":"validation","step":2,"loss":2}` + "\n"
		three = `{"event":"step","step":3,"loss":2}` + "\n"
	)
	for _, tt := range []struct {
		name            string
		curve, want     string
		step, validated int
	}{
		{"empty", "", "", 3, 2},
		{"all", one + two + valid + three, one + two + valid + three, 3, 2},
		{"later steps go", one + two + valid + three, one + two + valid, 2, 2},
		{"a validation to repeat goes", one + two + valid, one + two, 2, 0},
		{"new run", one + two, "", 0, 0},
		{"torn line", one + two[:9], one, 3, 3},
		{"no end of line", one + strings.TrimSpace(two), one, 3, 3},
		{"rubbish", one + "\x00\x00\n" + two, one, 3, 3},
	} {
		size, err := curveUntil(strings.NewReader(tt.curve), tt.step, tt.validated)
		if err != nil || tt.curve[:size] != tt.want {
			t.Errorf("%s: %q, %v", tt.name, tt.curve[:size], err)
		}
	}
}

func TestClock(t *testing.T) {
	now := time.Unix(0, 0)
	c := newClock(func() time.Time { return now }, 100)
	for range 50 {
		now = now.Add(2 * time.Second)
		c.step(500)
		now = now.Add(time.Minute) // a validation
		c.pause()
	}
	if got := c.tokensPerSecond(); got < 249.9 || got > 250.1 {
		t.Errorf("%v tokens per second", got)
	}
	if got := c.left(10); got < 19.9 || got > 20.1 {
		t.Errorf("%v seconds left", got)
	}
	if got := c.seconds(); got != 100+50*62 {
		t.Errorf("%v seconds", got)
	}
	if c.sinceSave() != 50*62*time.Second {
		t.Errorf("%v since the last save", c.sinceSave())
	}
}

func TestPrune(t *testing.T) {
	dir := t.TempDir()
	c := checkpoints(dir)
	for _, name := range []string{"step-000001", "step-000005", "step-000010", "step-1000000", "step-x", "step-7", "other", durable.PartialPrefix + "step-000011-1"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.prune(2, 1); err != nil {
		t.Fatal(err)
	}
	if err := durable.Sweep(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{"other", "step-000001", "step-000010", "step-1000000", "step-7", "step-x"}
	if d := cmp.Diff(want, names); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// FuzzState reads damaged state.json files.
func FuzzState(f *testing.F) {
	f.Add(`{"format":1,"step":3,"data":{"drawn":[1,2]},"identity":{"lr":0.1}}`)
	f.Add(`{"format":1,"step":-3}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, text string) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, stateFile), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := readState(dir)
		if err != nil {
			return
		}
		if err := s.write(filepath.Join(dir, stateFile)); err != nil {
			t.Fatal(err)
		}
		again, err := readState(dir)
		if err != nil {
			t.Fatal(err)
		}
		if list := s.Identity.differences(again.Identity); len(list) > 0 || again.Step != s.Step {
			t.Errorf("%q comes back different: %v", text, list)
		}
	})
}
