package finetune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/internal/durable"
	"causerie/models/kernels"
)

// childOptions names the environment variable that makes the test binary a
// training process: one that can be killed.
const childOptions = "CAUSERIE_TEST_TRAIN"

func TestMain(m *testing.M) {
	if text := os.Getenv(childOptions); text != "" {
		os.Exit(trainAsChild(text))
	}
	os.Exit(m.Run())
}

func trainAsChild(text string) int {
	var o Options
	err := json.Unmarshal([]byte(text), &o)
	if err == nil && os.Getenv("CAUSERIE_TEST_TRAIN_NICELY") != "" {
		err = LowerPriority()
	}
	if err == nil {
		limitFiles()
		_, err = Train(context.Background(), o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child starts a process that trains with these options.
func child(t *testing.T, o Options, env ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(append(os.Environ(), childOptions+"="+string(text)), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &stderr
}

// TestKilledAndResumed kills a training process again and again, without
// warning and wherever it is, and resumes it until it is done. The weights are
// those of a run that nobody disturbed.
func TestKilledAndResumed(t *testing.T) {
	t.Run("model", func(t *testing.T) { killAndResume(t, smallOptions(t), 20) })
	t.Run("bf16, recomputed", func(t *testing.T) {
		o := smallOptions(t)
		o.Precision, o.Recompute = kernels.BFloat16, true
		killAndResume(t, o, 5)
	})
	t.Run("adapter", func(t *testing.T) { killAndResume(t, loraOptions(t, 3), 10) })
	t.Run("preferences", func(t *testing.T) { killAndResume(t, dpoOptions(t, 3), 10) })
	t.Run("preferences with an adapter", func(t *testing.T) { killAndResume(t, dpoLoRAOptions(t, 3), 10) })
}

func killAndResume(t *testing.T, o Options, limit int) {
	o.Last = true
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	want := readAll(t, o.Out)

	o.Out, o.Resume = filepath.Join(t.TempDir(), "run"), true
	o.SaveEvery = Every{Steps: 1} // so that many kills hit a checkpoint being written
	r := rand.New(rand.NewPCG(1, 2))
	kills := 0
	if os.Getenv("CAUSERIE_LONG") != "" {
		limit *= 10
	}
	for kills < limit {
		cmd, stderr := child(t, o)
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		select {
		case <-time.After(time.Duration(5+r.IntN(35)) * time.Millisecond):
			kills++
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			<-done
			if s := stderr.String(); s != "" {
				t.Fatalf("a resumed run failed: %s", s)
			}
			continue
		case err := <-done:
			if err != nil {
				t.Fatalf("a resumed run failed: %v: %s", err, stderr)
			}
		}
		break
	}
	t.Logf("killed %d times", kills)
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	compareRuns(t, want, readAll(t, o.Out))
	for name := range readAll(t, o.Out) {
		if strings.Contains(name, durable.PartialPrefix) || strings.Contains(name, durable.RemovedPrefix) {
			t.Errorf("%s was left behind", name)
		}
	}
}

// TestFileTooLarge runs into a limit on the size of files, as a full disk would
// be: the run ends with an error, and the checkpoint before it is intact.
func TestFileTooLarge(t *testing.T) {
	if !canLimitFiles {
		t.Skip("this system has no limit on the size of files")
	}
	o := smallOptions(t)
	o.Resume = true
	interruptAt(t, o, 6)
	before := readAll(t, o.Out)
	cmd, stderr := child(t, o, limitVariable+"=20000")
	if err := cmd.Wait(); err == nil {
		t.Fatal("the run did not run into the limit")
	}
	if !strings.Contains(stderr.String(), "saving checkpoint") || !strings.Contains(stderr.String(), "step-000008") {
		t.Errorf("the error is %q", stderr)
	}
	after := readAll(t, o.Out)
	for name, data := range before {
		if strings.HasPrefix(name, "checkpoints") && after[name] != data {
			t.Errorf("%s has changed", name)
		}
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			t.Errorf("%s was left behind", name)
		}
	}
	// With room on the disk, the run goes on.
	if _, err := Train(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}
