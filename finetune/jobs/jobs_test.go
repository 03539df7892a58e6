package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"

	"causerie/finetune/files"
)

const oneChat = `{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}` + "\n"

func TestCreateSaysWhatIsWrong(t *testing.T) {
	s := open(t, Options{Workers: -1})
	file := upload(t, s, "", oneChat)
	other, err := s.o.Files.Create(t.Context(), "", files.New{Filename: "b", Purpose: "batch"}, strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	good := Request{Model: "default", TrainingFile: file}
	for _, c := range []struct {
		name, param string
		spoil       func(*Request)
	}{
		{"no model", "model", func(r *Request) { r.Model = "" }},
		{"unknown model", "model", func(r *Request) { r.Model = "gpt-9" }},
		{"no file", "training_file", func(r *Request) { r.TrainingFile = "" }},
		{"unknown file", "training_file", func(r *Request) { r.TrainingFile = "file-none" }},
		{"unknown validation file", "validation_file", func(r *Request) { r.ValidationFile = "file-none" }},
		{"a file for something else", "training_file", func(r *Request) { r.TrainingFile = other.ID }},
		{"suffix", "suffix", func(r *Request) { r.Suffix = "a/b" }},
		{"method", "method.type", func(r *Request) { r.Method.Type = "reinforcement" }},
		{"beta of no preferences", "method.supervised.hyperparameters.beta", func(r *Request) { r.Method.Hyperparameters.Beta = 0.1 }},
		{"beta", "method.dpo.hyperparameters.beta", func(r *Request) {
			r.Method = Method{Type: DPO, Hyperparameters: Hyperparameters{Beta: 3}}
		}},
		{"epochs", "method.supervised.hyperparameters.n_epochs", func(r *Request) { r.Method.Hyperparameters.Epochs = 51 }},
		{"multiplier", "method.supervised.hyperparameters.learning_rate_multiplier", func(r *Request) { r.Method.Hyperparameters.LearningRateMultiplier = -1 }},
		{"adapter", "method.supervised.adapter.type", func(r *Request) { r.Method.Adapter.Kind = "qlora" }},
		{"rank", "method.supervised.adapter", func(r *Request) { r.Method.Adapter.Rank = -1 }},
		{"rank of no adapter", "method.supervised.adapter", func(r *Request) { r.Method.Adapter = Adapter{Kind: Full, Rank: 3} }},
	} {
		r := good
		c.spoil(&r)
		_, err := s.Create(t.Context(), "", r)
		bad, ok := errors.AsType[*RequestError](err)
		if !ok || bad.Param != c.param {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	j, err := s.Create(t.Context(), "", good)
	if err != nil {
		t.Fatal(err)
	}
	if j.Status != Validating || j.Method.Adapter.Rank != 8 || j.Method.Adapter.Alpha != 16 || j.Method.Type != Supervised {
		t.Errorf("the job is %+v", j)
	}
}

// TestOwners asks for everything as somebody else.
func TestOwners(t *testing.T) {
	s := open(t, Options{Workers: -1})
	file := upload(t, s, "ann", oneChat)
	if _, err := s.Create(t.Context(), "bob", Request{Model: "default", TrainingFile: file}); err == nil {
		t.Error("bob learns from ann's file")
	}
	j, err := s.Create(t.Context(), "ann", Request{Model: "default", TrainingFile: file})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	page := Page{Limit: 10}
	for name, ask := range map[string]func() error{
		"job":         func() error { _, err := s.Job(ctx, "bob", j.ID); return err },
		"cancel":      func() error { _, err := s.Cancel(ctx, "bob", j.ID); return err },
		"pause":       func() error { _, err := s.Pause(ctx, "bob", j.ID); return err },
		"resume":      func() error { _, err := s.Resume(ctx, "bob", j.ID); return err },
		"events":      func() error { _, _, err := s.Events(ctx, "bob", j.ID, page); return err },
		"checkpoints": func() error { _, _, err := s.Checkpoints(ctx, "bob", j.ID, page); return err },
		"follow":      func() error { return s.Follow(ctx, "bob", j.ID, "", func(Event) error { return nil }) },
	} {
		if err := ask(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _, err := s.Jobs(ctx, "bob", nil, page); err != nil || len(list) != 0 {
		t.Errorf("bob sees %v, %v", list, err)
	}
	if list, _, err := s.Jobs(ctx, "ann", nil, page); err != nil || len(list) != 1 {
		t.Errorf("ann sees %v, %v", list, err)
	}
}

func TestFollowEnds(t *testing.T) {
	s := open(t, Options{Workers: -1})
	j, err := s.Create(t.Context(), "", Request{Model: "default", TrainingFile: upload(t, s, "", oneChat)})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan Event, 10)
	done := make(chan error, 1)
	go func() {
		done <- s.Follow(context.WithoutCancel(t.Context()), "", j.ID, "", func(e Event) error { heard <- e; return nil })
	}()
	<-heard // the job's creation
	if _, err := s.Cancel(t.Context(), "", j.ID); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(heard)
	var last Event
	for e := range heard {
		last = e
	}
	if last.Message != "The job was cancelled" {
		t.Errorf("the last event is %+v", last)
	}
	if _, err := s.Cancel(t.Context(), "", j.ID); err == nil {
		t.Error("cancelled twice")
	}
}
