package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// chats is a file in OpenAI's format with so many dialogues.
func chats(t *testing.T, n int, more ...string) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		word := []string{"hello", "there", "how", "你好", "吗"}[i%5] + strings.Repeat(" you", i/5)
		line, err := json.Marshal(map[string]any{"messages": []map[string]any{
			{"role": "user", "content": word}, {"role": "assistant", "content": "hello there"},
		}})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	for _, line := range more {
		b.WriteString(line + "\n")
	}
	path := filepath.Join(t.TempDir(), "my.chats.jsonl")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventsOf reads JSON lines.
func eventsOf(t *testing.T, out string) (kinds []string, events map[string]json.RawMessage) {
	t.Helper()
	events = map[string]json.RawMessage{}
	for line := range strings.Lines(out) {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kinds = append(kinds, e.Event)
		events[e.Event] = json.RawMessage(line)
	}
	return kinds, events
}

// TestFinetuneCommand fine-tunes all weights and talks with the result.
func TestFinetuneCommand(t *testing.T) {
	base, data := modelFolder(t), chats(t, 40)
	t.Chdir(t.TempDir())
	code, stdout, stderr := run(t, "", "finetune", "--base", base, "--data", data, "--steps", "90", "--lr", "1e-2", "--eval-every", "30", "--samples", "2")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	kinds, events := eventsOf(t, stdout)
	for _, want := range []string{"check", "stage", "start", "step", "validation", "checkpoint", "end", "samples"} {
		if !slices.Contains(kinds, want) {
			t.Errorf("no %s among the events %s", want, kinds)
		}
	}
	var start struct{ Dialogues int }
	var samples struct{ Samples []sample }
	if err := json.Unmarshal(events["start"], &start); err != nil || start.Dialogues != 36 {
		t.Errorf("%d dialogues are learnt, want 36 of 40; %v", start.Dialogues, err)
	}
	if err := json.Unmarshal(events["samples"], &samples); err != nil || len(samples.Samples) != 2 {
		t.Fatalf("samples %s, %v", events["samples"], err)
	}
	for _, s := range samples.Samples {
		if s.Before == s.After || !strings.HasPrefix(s.After, "hello") {
			t.Errorf("the reply to %q did not change as taught: %q, then %q", s.Prompt, s.Before, s.After)
		}
	}
	out := filepath.Join("finetuned", "my")
	for _, name := range []string{"model.safetensors", "metrics.jsonl", "loss.svg", "loss.png"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if code, reply, _ := run(t, "how\n", "chat", "--model", out, "--temperature", "0"); code != 0 || !strings.HasPrefix(reply, "hello") {
		t.Errorf("code %d, reply %q", code, reply)
	}
	code, _, stderr = run(t, "", "finetune", "--base", base, "--data", data)
	if code != exitFailure || !strings.Contains(stderr, "resume it") {
		t.Errorf("over a run that is there: code %d, %s", code, stderr)
	}
}

// TestFinetuneAdapter trains an adapter, talks through it and merges it.
func TestFinetuneAdapter(t *testing.T) {
	base, data, dir := modelFolder(t), chats(t, 12), t.TempDir()
	out, merged := filepath.Join(dir, "mine"), filepath.Join(dir, "merged")
	code, stdout, stderr := run(t, "", "finetune", "--base", base, "--data", data, "--valid", data, "--out", out,
		"--lora", "4", "--lora-dropout", "0.1", "--merge", "--steps", "20", "--lr", "5e-2", "--ask", "how")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	_, events := eventsOf(t, stdout)
	if !bytes.Contains(events["check"], []byte(`"overlap":{"count":12`)) {
		t.Errorf("the overlap is not reported: %s", events["check"])
	}
	if code, _, stderr := run(t, "", "merge", out, merged); code != 0 {
		t.Fatalf("code %d, %s", code, stderr)
	}
	var replies []string
	for _, flags := range [][]string{
		{"--model", out}, {"--model", base, "--adapter", out}, {"--model", merged}, {"--model", filepath.Join(out, "merged")}, {"--model", base},
	} {
		code, reply, stderr := run(t, "how\n你好\n", append([]string{"chat", "--temperature", "0"}, flags...)...)
		if code != 0 {
			t.Fatalf("%s: code %d, %s", flags, code, stderr)
		}
		replies = append(replies, reply)
	}
	if replies[0] != replies[1] || replies[0] != replies[2] || replies[0] != replies[3] || replies[0] == replies[4] {
		t.Errorf("replies %q", replies)
	}
	for _, tt := range []struct {
		want string
		args []string
	}{
		{"is there already", []string{"merge", out, merged}},
		{"adapter_config.json", []string{"merge", base, filepath.Join(dir, "new")}},
		{"is an adapter itself", []string{"merge", "--base", out, out, filepath.Join(dir, "new")}},
		{"is an adapter itself", []string{"finetune", "--base", out, "--data", data, "--lora", "4", "--out", filepath.Join(dir, "new")}},
		{"nowhere", []string{"chat", "--model", base, "--adapter", "nowhere"}},
	} {
		code, _, stderr := run(t, "", tt.args...)
		if code != exitFailure || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: code %d, %s", tt.want, code, stderr)
		}
	}
}

// TestFinetunePreferences teaches a model which of two replies is better.
func TestFinetunePreferences(t *testing.T) {
	base, dir := modelFolder(t), t.TempDir()
	var b strings.Builder
	for i := range 40 {
		prompt := []string{"hello", "there", "how", "你好", "吗"}[i%5] + strings.Repeat(" you", i/5)
		fmt.Fprintf(&b, `{"input":{"messages":[{"role":"user","content":%q}]},"preferred_output":[{"role":"assistant","content":"hello there"}],`+
			`"non_preferred_output":[{"role":"assistant","content":"how how"}]}`+"\n", prompt)
	}
	data := filepath.Join(dir, "prefs.jsonl")
	if err := os.WriteFile(data, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "run")
	code, stdout, stderr := run(t, "", "finetune", "--method", "dpo", "--beta", "0.2", "--base", base, "--data", data, "--out", out,
		"--lora", "4", "--lr", "2e-2", "--steps", "40", "--samples", "2")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d, %s", code, stderr)
	}
	kinds, events := eventsOf(t, stdout)
	if !slices.Contains(kinds, "samples") || !bytes.Contains(events["check"], []byte(`"preferences":40`)) {
		t.Errorf("events %s: %s", kinds, events["check"])
	}
	var v struct {
		Rewards struct{ Margin, Accuracy float64 }
	}
	if err := json.Unmarshal(events["validation"], &v); err != nil || !(v.Rewards.Margin > 0.5) || v.Rewards.Accuracy != 1 {
		t.Errorf("%s, %v", events["validation"], err)
	}
	if code, _, stderr := run(t, "", "chat", "--model", out); code != 0 {
		t.Errorf("code %d, %s", code, stderr)
	}
	for _, tt := range []struct {
		want string
		code int
		args []string
	}{
		{"--beta needs --method dpo", exitUsage, []string{"--beta", "0.5"}},
		{"must be positive", exitUsage, []string{"--method", "dpo", "--beta=-1"}},
		{"hold no preferences", exitUsage, []string{"--method", "dpo", "--format", "openai"}},
		{"only the replies are learnt", exitUsage, []string{"--method", "dpo", "--loss", "all"}},
		{"one of", exitUsage, []string{"--method", "ppo"}},
	} {
		code, _, stderr := run(t, "", append([]string{"finetune", "--data", data, "--base", base, "--out", filepath.Join(dir, "x")}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: code %d, %s", tt.args, code, stderr)
		}
	}
	code, _, stderr = run(t, "", "finetune", "--method", "dpo", "--data", chats(t, 12), "--base", base, "--out", filepath.Join(dir, "x"))
	if code != exitFailure || !strings.Contains(stderr, `my.chats.jsonl:1: key "input" is missing`) || !strings.Contains(stderr, "11 more bad lines") {
		t.Errorf("dialogues as preferences: code %d, %s", code, stderr)
	}
}

func TestFinetuneChecksTheData(t *testing.T) {
	base, dir := modelFolder(t), t.TempDir()
	bad := chats(t, 12, `{"messages":[{"role":"user","content":"hello"}]}`, `nothing`)
	args := []string{"finetune", "--base", base, "--data", bad, "--out", filepath.Join(dir, "run"), "--steps", "1"}
	code, stdout, stderr := run(t, "", args...)
	if code != exitFailure || !strings.Contains(stderr, "my.chats.jsonl:13: no message of the assistant") || !strings.Contains(stderr, "1 more bad line") {
		t.Errorf("code %d, %s", code, stderr)
	}
	if !strings.Contains(stdout, `"line":14,"reason":"not valid JSON`) {
		t.Errorf("not every bad line is listed: %s", stdout)
	}
	code, stdout, stderr = run(t, "", append(args, "--skip-bad", "--check")...)
	var check struct {
		Estimate struct {
			Steps   int
			Seconds float64
			Bytes   int64
		}
	}
	_, events := eventsOf(t, stdout)
	if err := json.Unmarshal(events["check"], &check); code != 0 || err != nil || len(events) != 1 {
		t.Fatalf("code %d, %s%s", code, stdout, stderr)
	}
	if e := check.Estimate; e.Steps != 1 || e.Seconds <= 0 || e.Bytes < 1<<20 {
		t.Errorf("estimate %+v", e)
	}
	if _, err := os.Stat(filepath.Join(dir, "run")); err == nil {
		t.Error("a check left a folder behind")
	}
	if code, _, stderr := run(t, "", append(args, "--skip-bad")...); code != 0 {
		t.Errorf("code %d, %s", code, stderr)
	}
}

func TestFinetuneInterruptedAndResumed(t *testing.T) {
	base, data, out := modelFolder(t), chats(t, 20), filepath.Join(t.TempDir(), "run")
	args := []string{"finetune", "--base", base, "--data", data, "--out", out, "--lora", "2", "--samples", "1", "--patience", "0", "--resume"}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for ctx.Err() == nil {
			if data, err := os.ReadFile(filepath.Join(out, "metrics.jsonl")); err == nil && bytes.Count(data, []byte("\n")) > 5 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var stdout, stderr lockedBuffer
	code := Main(ctx, append(args, "--steps", "100000"), IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr})
	if code != exitInterrupted || !strings.Contains(stderr.String(), "--resume goes on") {
		t.Fatalf("code %d, %s", code, stderr.String())
	}
	if code, _, errOut := run(t, "", append(args, "--steps", "50")...); code != exitFailure || !strings.Contains(errOut, "steps was 100000") {
		t.Errorf("resumed as another run: code %d, %s", code, errOut)
	}
	code, out2, errOut := run(t, "", append(args, "--steps", "100000", "--max-time", "1ns")...)
	if code != 0 || !strings.Contains(out2, `"resumed":true`) || !strings.Contains(errOut, "The time is up") {
		t.Errorf("code %d, %s", code, errOut)
	}
}

func TestFinetuneUsage(t *testing.T) {
	data := chats(t, 3)
	for _, tt := range []struct {
		want string
		code int
		args []string
	}{
		{"missing flags", exitUsage, nil},
		{"need --lora", exitUsage, []string{"--data", data, "--lora-alpha", "3"}},
		{"only an adapter can be merged", exitUsage, []string{"--data", data, "--merge"}},
		{"rank", exitUsage, []string{"--data", data, "--lora=-1"}},
		{"hold out", exitUsage, []string{"--data", data, "--hold-out", "1"}},
		{"would replace", exitUsage, []string{"--data", data, "--base", "x", "--out", "x"}},
		{"neither a folder here nor", exitFailure, []string{"--data", data, "--base", "nowhere"}},
		{`called "wte"`, exitFailure, []string{"--data", data, "--base", modelFolder(t), "--lora", "2", "--lora-targets", "wte", "--out", filepath.Join(t.TempDir(), "o")}},
	} {
		code, _, stderr := run(t, "", append([]string{"finetune"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("%q: code %d, %s", tt.want, code, stderr)
		}
	}
}
