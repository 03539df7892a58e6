package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // the test has ended without ending this
	}()
	err := func() error {
		f, err := files.Open(ctx, files.Options{Folder: folder})
		if err != nil {
			return err
		}
		s, err := Open(ctx, Options{Folder: folder, Files: f, Threads: 1, SaveEvery: 20 * time.Millisecond})
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
	if _, err := cmd.StdinPipe(); err != nil { // which ends with this process
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestKilled kills the process that works at a job again and again, without
// warning and wherever it is, until the job is done. Its weights are those of a
// job that nobody disturbed, and nothing half-written is left.
func TestKilled(t *testing.T) {
	limit := 4
	if os.Getenv("CAUSERIE_LONG") != "" {
		limit = 60
	}
	folder := t.TempDir()
	s := open(t, tinyBase(t, Options{Folder: folder, Workers: -1}))
	for _, kind := range []string{LoRA, Full} {
		r := Request{
			Model: "tiny", TrainingFile: upload(t, s, "", chats(40, 3)), ValidationFile: upload(t, s, "", chats(8, 5)), Seed: seeded(5),
			Method: Method{Adapter: Adapter{Kind: kind}, Hyperparameters: Hyperparameters{Epochs: 15, BatchSize: 2}},
		}
		calm, _ := runKilled(t, s, r, 0)
		for kills := 0; kills < limit; {
			j, n := runKilled(t, s, r, limit-kills)
			kills += n
			sameModels(t, s, calm, j)
		}
	}
	awaitTidy(t, s)
}

// runKilled has children do a job, and kills them at most so often.
func runKilled(t *testing.T, s *Service, r Request, limit int) (_ Job, kills int) {
	t.Helper()
	j, err := s.Create(t.Context(), "", r)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, uint64(limit)))
	for {
		child := startChild(t, s.folder)
		defer kill(t, child)
		if kills >= limit {
			return awaitStatus(t, s, j.ID, Succeeded), kills
		}
		time.Sleep(time.Duration(20+random.IntN(600)) * time.Millisecond)
		if j, err = s.Job(t.Context(), "", j.ID); err != nil {
			t.Fatal(err)
		}
		kill(t, child)
		if j.Status == Succeeded {
			return j, kills
		}
		kills++
		t.Logf("killed while the job was %s, at step %d of %d", j.Status, j.Step, j.Steps)
	}
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
