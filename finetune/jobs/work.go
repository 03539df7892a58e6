package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"causerie/finetune"
)

const (
	// lockWait is how long to wait for a process that is just letting go of a
	// job, as after a pause that was soon over.
	lockWait  = 10 * time.Second
	lockRetry = 50 * time.Millisecond
	// recordRetry is how often to try to write down how a job went wrong: the
	// reason may be that the disk is full.
	recordRetry = 5 * time.Second
)

// workAt does what a job in a status waits for. It never returns an error to
// River, which would try again in its own way: what goes wrong is the job's.
func (s *Service) workAt(ctx context.Context, id string, status Status) error {
	unlock, ok, err := s.awaitLock(ctx, id)
	if err != nil || !ok {
		return err // whoever has the lock, or tend, sees to the job
	}
	defer func() {
		if err := unlock(); err != nil {
			s.o.Log.Error("letting go of a job", "job", id, "error", err)
		}
	}()
	r, err := s.find(ctx, s.db, id)
	if errors.Is(err, ErrNotFound) || err == nil && r.Status != status {
		return nil // this was settled otherwise
	}
	if err == nil {
		err = s.safely(func() error {
			if status == Validating {
				return s.validate(ctx, r)
			}
			return s.train(ctx, r)
		})
	}
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case errors.Is(err, errStopped):
		return nil
	}
	s.o.Log.Warn("a fine-tuning job failed", "job", id, "error", err)
	s.recordFailure(ctx, r, err)
	return nil
}

func (s *Service) awaitLock(ctx context.Context, id string) (unlock func() error, ok bool, err error) {
	for end := time.Now().Add(lockWait); ; {
		unlock, ok, err := s.lock(id)
		if err != nil || ok || time.Now().After(end) {
			return unlock, ok, err
		}
		select {
		case <-ctx.Done():
			return nil, false, nil
		case <-time.After(lockRetry):
		}
	}
}

// safely makes an error of a panic.
func (s *Service) safely(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Log.Error("panic in a fine-tuning job", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the server has met a bug: %v", p)
		}
	}()
	return f()
}

// recordFailure tries until it succeeds or the process ends.
func (s *Service) recordFailure(ctx context.Context, r record, err error) {
	p := s.problemOf(r, err)
	for {
		err := s.fail(ctx, r.ID, p)
		if err == nil {
			return
		}
		s.o.Log.Error("recording that a job has failed", "job", r.ID, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(recordRetry):
		}
	}
}

// errStopped ends the work at a job that was paused or cancelled.
var errStopped = errors.New("the job is no longer to be trained")

// train trains a job until it is done or stopped.
func (s *Service) train(ctx context.Context, r record) error {
	if err := s.begin(ctx, r.ID); err != nil {
		return err
	}
	if there := s.memory(); there > 0 && r.plan.Bytes > there {
		return &Problem{Code: CodeMemory, Message: fmt.Sprintf("the training would take about %.1f GB of memory, and %.1f GB are left: "+
			"use a smaller batch_size (now %d), shorter dialogues (the longest has %d tokens), an adapter instead of all weights, or a smaller model",
			float64(r.plan.Bytes)/1e9, float64(there)/1e9, r.Method.Hyperparameters.BatchSize, r.plan.Context)}
	}
	if _, err := finetune.OpenBase(r.base); err != nil {
		return baseProblem(r, err)
	}
	if err := s.checkData(ctx, r); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.stopWith(running, r.ID, stop)
	}()
	reporter := s.newReporter(ctx, r)
	result, err := finetune.Train(running, s.trainOptions(r, r.plan), reporter)
	stop(nil)
	<-watched
	_, interrupted := errors.AsType[*finetune.Interrupted](err)
	switch {
	case ctx.Err() != nil:
		return s.giveBack(r.ID)
	case errors.Is(context.Cause(running), errStopped) && (interrupted || errors.Is(err, context.Canceled)):
		return errStopped
	case err != nil:
		return err
	}
	return s.succeed(ctx, r, result)
}

// begin makes a job run.
func (s *Service) begin(ctx context.Context, id string) error {
	return s.change(ctx, func(tx *sql.Tx) error {
		moved, err := move(ctx, tx, id, Running)
		if err == nil && !moved {
			err = errStopped
		}
		return err
	})
}

// giveBack puts a job back in the queue, because this process is about to end.
func (s *Service) giveBack(id string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return s.change(ctx, func(tx *sql.Tx) error {
		moved, err := move(ctx, tx, id, Queued)
		if err != nil || !moved {
			return err
		}
		if err := addEvent(ctx, tx, id, LevelInfo, "The server or worker is shutting down; the job goes on from here with the next one"); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, id, Queued)
	})
}

// stopWith ends a training when its job is no longer to run.
func (s *Service) stopWith(ctx context.Context, id string, stop context.CancelCauseFunc) {
	for {
		changed := s.changes.after()
		var status Status
		err := s.db.QueryRowContext(ctx, `SELECT status FROM jobs WHERE id = ?`, id).Scan(&status)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.o.Log.Error("looking whether a job is to go on", "job", id, "error", err)
		case status != Running:
			stop(errStopped)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

// checkData makes sure that the job's folder has its data: they were copied
// there when they were checked.
func (s *Service) checkData(ctx context.Context, r record) error {
	have, err := s.hasData(r)
	if err != nil || have {
		return err
	}
	_, err = s.fetchData(ctx, r)
	return err
}

func (s *Service) hasData(r record) (bool, error) {
	for _, name := range []string{r.plan.Training, r.plan.Validation} {
		if name == "" {
			continue
		}
		switch _, err := os.Stat(filepath.Join(s.jobFolder(r.ID), name)); {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}
