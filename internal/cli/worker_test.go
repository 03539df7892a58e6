package cli

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/finetune/files"
	"causerie/finetune/jobs"
)

// TestWorker makes a job beside a worker, which trains it.
func TestWorker(t *testing.T) {
	ctx := t.Context()
	folder, base := t.TempDir(), filepath.Join(t.TempDir(), "base")
	_, err := finetune.Train(ctx, finetune.Options{
		Out: base, Data: []corpora.Source{{Path: corpora.StarterPaths()[0]}}, Vocab: 300, Layers: 1, Width: 16, Heads: 2, Context: 64, Rows: 128, Steps: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	f, err := files.Open(ctx, files.Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	s, err := jobs.Open(ctx, jobs.Options{Folder: folder, Files: f, Workers: -1, Base: func(string) (string, bool) { return base, true }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	}()
	file, err := f.Create(ctx, "", files.New{Filename: "a.jsonl", Purpose: files.FineTune}, strings.NewReader(`{"turns":["Hi","Hello"]}`))
	if err != nil {
		t.Fatal(err)
	}
	job, err := s.Create(ctx, "", jobs.Request{Model: "tiny", TrainingFile: file.ID})
	if err != nil {
		t.Fatal(err)
	}
	working, stop := context.WithCancel(ctx)
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- Main(working, []string{"worker", "--data", folder, "--threads", "1", "--no-background"}, IO{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &stderr})
	}()
	follow, giveUp := context.WithTimeout(ctx, time.Minute)
	defer giveUp()
	if err := s.Follow(follow, "", job.ID, "", func(jobs.Event) error { return nil }); err != nil {
		t.Error(err)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if job, err = s.Job(ctx, "", job.ID); err != nil || job.Status != jobs.Succeeded {
		t.Errorf("the job is %+v, %v", job, err)
	}
}

func TestWorkerNeedsFolder(t *testing.T) {
	var stderr bytes.Buffer
	std := IO{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &stderr}
	if code := Main(t.Context(), []string{"worker", "--data", filepath.Join(t.TempDir(), "none")}, std); code != exitFailure {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if code := Main(t.Context(), []string{"worker", "--data", t.TempDir(), "--jobs", "0"}, std); code != exitUsage {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}
