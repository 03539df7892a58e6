package jobs

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestWatchModels watches, in a process that does not train, what another one
// makes.
func TestWatchModels(t *testing.T) {
	folder := t.TempDir()
	s := open(t, tinyBase(t, Options{Folder: folder, Workers: -1}))
	ctx, cancel := context.WithCancel(t.Context())
	seen := make(chan ModelChange, 20)
	done := make(chan error, 1)
	go func() {
		done <- s.WatchModels(ctx, func(c ModelChange) error { seen <- c; return nil })
	}()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	child := startChild(t, folder)
	defer kill(t, child)
	j, err := s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: upload(t, s, "", chats(5, 0)),
		Method: Method{Hyperparameters: Hyperparameters{Epochs: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	next := func() ModelChange {
		select {
		case c := <-seen:
			return c
		case <-time.After(30 * time.Second):
			t.Fatal("nothing was told")
			return ModelChange{}
		}
	}
	checkpoint, result := next(), next()
	if checkpoint.Model.Step == 0 || checkpoint.Gone || result.Model.Step != 0 || result.Model.Job != j.ID || result.Gone {
		t.Errorf("told of %+v, then of %+v", checkpoint, result)
	}
	if err := s.DeleteModel(t.Context(), "", checkpoint.Model.ID); err != nil {
		t.Fatal(err)
	}
	if gone := next(); !gone.Gone || gone.Model.ID != checkpoint.Model.ID {
		t.Errorf("told of %+v", gone)
	}
	if list, _, err := s.Checkpoints(t.Context(), "", j.ID, Page{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("checkpoints %+v, %v", list, err)
	}
}

// TestBaseInUse makes an adapter beside a fine-tuned model.
func TestBaseInUse(t *testing.T) {
	s := open(t, tinyBase(t, Options{}))
	file := upload(t, s, "", chats(5, 0))
	create := func(model, kind string) Job {
		j, err := s.Create(t.Context(), "", Request{Model: model, TrainingFile: file,
			Method: Method{Adapter: Adapter{Kind: kind}, Hyperparameters: Hyperparameters{Epochs: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		return awaitStatus(t, s, j.ID, Succeeded)
	}
	full := create("tiny", Full)
	beside := create(full.FineTunedModel, LoRA)
	if err := s.DeleteModel(t.Context(), "", full.FineTunedModel); !errors.Is(err, ErrInUse) {
		t.Errorf("deleting the base: %v", err)
	}
	_, err := s.Create(t.Context(), "", Request{Model: beside.FineTunedModel, TrainingFile: file})
	if bad, ok := errors.AsType[*RequestError](err); !ok || bad.Param != "model" {
		t.Errorf("an adapter of an adapter: %v", err)
	}
	create(beside.FineTunedModel, Full) // the adapter merged into its base is a model like others
	list, _, err := s.Checkpoints(t.Context(), "", beside.ID, Page{Limit: 9})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{list[0].Model, beside.FineTunedModel, full.FineTunedModel} {
		if err := s.DeleteModel(t.Context(), "", id); err != nil {
			t.Errorf("deleting %s: %v", id, err)
		}
	}
}

// TestTwoWorkers has two processes work at many jobs. Each job is trained once:
// its steps are told of once.
func TestTwoWorkers(t *testing.T) {
	folder := t.TempDir()
	s := open(t, tinyBase(t, Options{Folder: folder}))
	defer kill(t, startChild(t, folder))
	file := upload(t, s, "", chats(20, 0))
	var ids []string
	for range 6 {
		j, err := s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: file, Method: Method{Hyperparameters: Hyperparameters{Epochs: 10, BatchSize: 2}}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, j.ID)
	}
	for _, id := range ids {
		awaitStatus(t, s, id, Succeeded)
		started, err := s.texts(t.Context(), `SELECT id FROM events WHERE job = ? AND message LIKE 'Training %after%' OR job = ? AND message = 'Training started'`, id, id)
		if err != nil || len(started) != 1 {
			t.Errorf("job %s was begun %d times, %v", id, len(started), err)
		}
	}
}
