package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"causerie/finetune"
)

// dialogues writes a small corpus.
func dialogues(t *testing.T, lines ...string) string {
	t.Helper()
	if len(lines) == 0 {
		lines = []string{
			`{"id":"1","turns":["hello there","hi, how are you?"]}`,
			`{"id":"2","turns":["你好","你好吗？","hello","hi there"]}`,
		}
	}
	path := filepath.Join(t.TempDir(), "dialogues.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTrainCommand trains, stops for lack of time, resumes, and measures.
func TestTrainCommand(t *testing.T) {
	data, out := dialogues(t), filepath.Join(t.TempDir(), "run")
	args := []string{
		"train", "--data", data, "--data", data + "*2.5", "--valid", data, "--vocab", "280",
		"--layers", "1", "--width", "16", "--heads", "2", "--context", "64", "--rows", "128", "--steps", "6",
		"--lr", "1e-2", "--min-lr", "0", "--warmup", "2", "--clip", "0", "--out", out, "--resume", "--save-every", "5m", "--log-every", "2",
	}
	code, stdout, stderr := run(t, "", append(args, "--max-time", "1ns")...)
	if code != 0 || !strings.Contains(stderr, "after step 0 of 6") || !strings.Contains(stderr, "--resume") {
		t.Fatalf("code %d, %s%s", code, stdout, stderr)
	}
	code, stdout, stderr = run(t, "", args...)
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	var events []string
	for line := range strings.Lines(stdout) {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		events = append(events, e.Event)
	}
	if got := strings.Join(events, " "); !strings.HasPrefix(got, "stage start step validation") || !strings.HasSuffix(got, "checkpoint end") {
		t.Errorf("events %s", got)
	}

	code, stdout, stderr = run(t, "", "eval", "--model", out, "--data", data, "--json")
	var r struct {
		Loss, Perplexity  float64
		BitsPerByte       float64 `json:"bits_per_byte"`
		Tokens, Dialogues int
		TextBytes         int `json:"text_bytes"`
	}
	if err := json.Unmarshal([]byte(stdout), &r); code != 0 || err != nil || strings.Count(stdout, "\n") != 1 {
		t.Fatalf("code %d, %q, %s", code, stdout, stderr)
	}
	if math.Abs(math.Exp(r.Loss)-r.Perplexity) > 1e-9 || r.BitsPerByte <= 0 || r.Dialogues != 2 || r.Tokens == 0 || r.TextBytes == 0 {
		t.Errorf("eval says %+v", r)
	}
	code, stdout, _ = run(t, "", "eval", "--model", out, "--data", data, "--data", "starter")
	if lines := strings.Split(strings.TrimSpace(stdout), "\n"); code != 0 || len(lines) != 5 || !strings.HasSuffix(lines[4], "all") {
		t.Errorf("code %d, table:\n%s", code, stdout)
	}
}

func TestTrainInterrupted(t *testing.T) {
	data, out := dialogues(t), filepath.Join(t.TempDir(), "run")
	args := []string{
		"train", "--data", data, "--vocab", "280", "--layers", "1", "--width", "16", "--context", "64",
		"--rows", "64", "--steps", "1000000", "--warmup", "0", "--out", out,
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	curve := filepath.Join(out, "metrics.jsonl")
	go func() {
		for ctx.Err() == nil {
			if data, err := os.ReadFile(curve); err == nil && bytes.Count(data, []byte("\n")) > 5 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var stdout, stderr lockedBuffer
	code := Main(ctx, args, IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	if code != exitInterrupted || !strings.Contains(stderr.String(), "--resume goes on") {
		t.Errorf("code %d, %s", code, stderr.String())
	}
	code, _, errOut := run(t, "", args...)
	if code != exitFailure || !strings.Contains(errOut, "resume it") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

func TestTrainUsage(t *testing.T) {
	data := dialogues(t)
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"missing flags", []string{}},
		{"--out", []string{"--data", data}},
		{"learning rate", []string{"--data", data, "--out", "o", "--lr=-1"}},
		{"weight", []string{"--data", data + "*0", "--out", "o"}},
		{"multiple", []string{"--data", data, "--out", "o", "--width", "10", "--heads", "3"}},
		{"--dtype", []string{"--data", data, "--out", "o", "--dtype", "int8"}},
		{"save-every", []string{"--data", data, "--out", "o", "--save-every", "soon"}},
		{"--model and --tokenizer", []string{"--data", data, "--out", "o", "--model", "a", "--tokenizer", "b"}},
	} {
		code, _, errOut := run(t, "", append([]string{"train"}, tt.args...)...)
		if code == exitOK || !strings.Contains(errOut, tt.want) {
			t.Errorf("%q: code %d, %s", tt.want, code, errOut)
		}
	}
	code, _, errOut := run(t, "", "train", "--data", "nowhere.jsonl", "--out", "o")
	if code != exitFailure || !strings.Contains(errOut, "nowhere.jsonl") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

func TestEvalFailures(t *testing.T) {
	bad := dialogues(t, `{"id":"1","turns":["hello","hi"]}`, `{"id":"2"`)
	model := modelFolder(t)
	code, _, errOut := run(t, "", "eval", "--model", model, "--data", bad)
	if code != exitFailure || !strings.Contains(errOut, "dialogues.jsonl:2") {
		t.Errorf("code %d, %s", code, errOut)
	}
	code, out, errOut := run(t, "", "eval", "--model", model, "--data", bad, "--skip-bad")
	if code != exitOK || !strings.Contains(out, "1 bad lines were skipped") {
		t.Errorf("code %d, %s%s", code, out, errOut)
	}
	code, _, errOut = run(t, "", "eval", "--model", filepath.Join(model, "none"), "--data", bad)
	if code != exitFailure || !strings.Contains(errOut, "none") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

func TestOptionsOfFlags(t *testing.T) {
	zero, none := 0.0, 0
	c := TrainCmd{Data: []string{dialogues(t)}, Out: "o", LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8, Format: "auto", DType: "bf16", MinLR: &zero, Warmup: &none}
	o, err := c.options()
	if err != nil {
		t.Fatal(err)
	}
	if o.MinLR >= 0 || o.Warmup >= 0 || o.Clip >= 0 || o.WeightDecay >= 0 || o.DType != finetune.BF16 {
		t.Errorf("zeros given on the command line are not kept: %+v", o)
	}
	c.MinLR, c.Warmup = nil, nil
	if o, err = c.options(); err != nil || o.MinLR != 0 || o.Warmup != 0 {
		t.Errorf("flags that were not given have values: %+v, %v", o, err)
	}
}

// lockedBuffer may be written to by several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
