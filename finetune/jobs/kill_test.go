package jobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"causerie/finetune/files"
	"causerie/internal/durable"
)

// Environment variables that make the test binary a worker: one that can be
// killed.
const (
	childFolder = "CAUSERIE_TEST_WORK"
)

// workAsChild works at the jobs of a folder until it is told to stop.
func workAsChild(folder string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := func() error {
		f, err := files.Open(ctx, files.Options{Folder: folder})
		if err != nil {
			return err
		}
		s, err := Open(ctx, Options{Folder: folder, Files: f, Threads: 1})
		if err != nil {
			return err
		}
		<-ctx.Done()
		return errors.Join(s.Close(), f.Close())
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func startChild(t *testing.T, folder string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFolder+"="+folder)
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestKilled kills the process that works at a job again and again, without
// warning and wherever it is, until the job is done. Its weights are those of a
// job that nobody disturbed, and nothing half-written is left.
func TestKilled(t *testing.T) {
	limit := 8
	if os.Getenv("CAUSERIE_LONG") != "" {
		limit = 100
	}
	folder := t.TempDir()
	s := open(t, tinyBase(t, Options{Folder: folder, Workers: -1}))
	r := Request{
		Model: "tiny", TrainingFile: upload(t, s, "", chats(40, 3)), ValidationFile: upload(t, s, "", chats(8, 5)), Seed: seeded(5),
		Method: Method{Hyperparameters: Hyperparameters{Epochs: 30, BatchSize: 2}},
	}
	calm, err := s.Create(t.Context(), "", r)
	if err != nil {
		t.Fatal(err)
	}
	child := startChild(t, folder)
	calm = awaitStatus(t, s, calm.ID, Succeeded)
	kill(t, child)

	j, err := s.Create(t.Context(), "", r)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	kills := 0
	for {
		child := startChild(t, folder)
		if kills < limit {
			select {
			case <-time.After(time.Duration(100+random.IntN(900)) * time.Millisecond):
			case <-t.Context().Done():
			}
			if j, err = s.Job(t.Context(), "", j.ID); err != nil {
				t.Fatal(err)
			}
			t.Logf("killed while the job is %s, at step %d of %d", j.Status, j.Step, j.Steps)
			kill(t, child)
			kills++
			if j.Status != Succeeded {
				continue
			}
		}
		defer kill(t, child)
		break
	}
	j = awaitStatus(t, s, j.ID, Succeeded)
	t.Logf("killed %d times", kills)
	sameModels(t, s, calm, j)
	awaitTidy(t, s)
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if cmd.ProcessState != nil {
		return
	}
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	_ = cmd.Wait() // it says that the process was killed
}

// awaitTidy waits until the data folder has nothing that is not needed.
func awaitTidy(t *testing.T, s *Service) {
	t.Helper()
	var left []string
	for end := time.Now().Add(3 * tendInterval); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		left = nil
		known, err := s.texts(t.Context(), `SELECT folder FROM models`)
		if err != nil {
			t.Fatal(err)
		}
		walk := func(dir string) {
			entries, err := os.ReadDir(filepath.Join(s.folder, dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				left = append(left, dir+"/"+e.Name())
			}
		}
		walk(jobsName)
		models, err := os.ReadDir(filepath.Join(s.folder, modelsName))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range known {
			models = without(models, name)
		}
		for _, e := range models {
			left = append(left, modelsName+"/"+e.Name())
		}
		walkFiles, err := os.ReadDir(filepath.Join(s.folder, "files"))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range walkFiles {
			if strings.HasPrefix(e.Name(), durable.PartialPrefix) || strings.HasSuffix(e.Name(), ".tmp") {
				left = append(left, "files/"+e.Name())
			}
		}
		if len(left) == 0 {
			return
		}
	}
	t.Errorf("left behind: %v", left)
}
