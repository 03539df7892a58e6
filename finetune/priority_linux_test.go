package finetune

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLowerPriority looks at the niceness of every thread of a process that trains.
func TestLowerPriority(t *testing.T) {
	o := smallOptions(t)
	o.Steps, o.Threads = 1e6, 3
	cmd, stderr := child(t, o, "CAUSERIE_TEST_TRAIN_NICELY=1")
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(o.Out, "checkpoints", "step-000004")); err == nil {
			break
		}
		if time.Since(start) > 30*time.Second {
			t.Fatalf("the training does not begin: %s", stderr)
		}
	}
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", cmd.Process.Pid))
	if err != nil || len(stats) < 3 {
		t.Fatalf("%d threads, %v", len(stats), err)
	}
	for _, path := range stats {
		data, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(data), ") ") // what follows the name
		if nice := strings.Fields(rest)[16]; nice != "19" {
			t.Errorf("%s: niceness %s", path, nice)
		}
	}
}
