package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
)

// River's queues, and the kinds of work in them: files are checked beside a
// training, so that nobody waits for one to learn of a bad line.
const (
	validateQueue = "validate"
	trainQueue    = "train"
)

type validateWork struct {
	Job string `json:"job"`
}

func (validateWork) Kind() string { return "finetune_validate" }

type trainWork struct {
	Job string `json:"job"`
}

func (trainWork) Kind() string { return "finetune_train" }

// enqueue puts a job in the queue of what its status waits for.
func (s *Service) enqueue(ctx context.Context, tx *sql.Tx, job string, status Status) error {
	var args river.JobArgs = trainWork{job}
	o := &river.InsertOpts{Queue: trainQueue, MaxAttempts: 1}
	if status == Validating {
		args, o.Queue = validateWork{job}, validateQueue
	}
	work, err := s.queue.InsertTx(ctx, tx, args, o)
	if err != nil {
		return fmt.Errorf("queueing job %s: %w", job, err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE jobs SET work = ? WHERE id = ?`, work.Job.ID, job)
	return err
}

// queuePoll is how soon a worker notices that there is work.
const queuePoll = 250 * time.Millisecond

// startWork makes the queue and, if this process is to work, begins with what
// is in it.
func (s *Service) startWork(ctx context.Context) (err error) {
	config := &river.Config{Logger: s.riverLog()}
	if s.o.Workers > 0 {
		workers := river.NewWorkers()
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, w *river.Job[validateWork]) error {
			return s.workAt(ctx, w.Args.Job, Validating)
		}))
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, w *river.Job[trainWork]) error {
			return s.workAt(ctx, w.Args.Job, Queued)
		}))
		config.Workers = workers
		config.Queues = map[string]river.QueueConfig{validateQueue: {MaxWorkers: 1}, trainQueue: {MaxWorkers: s.o.Workers}}
		config.FetchPollInterval = queuePoll
		config.JobTimeout = -1 // a training takes as long as it takes
		// Finished work says nothing that the jobs' own records do not.
		config.CompletedJobRetentionPeriod, config.CancelledJobRetentionPeriod = time.Hour, time.Hour
		config.DiscardedJobRetentionPeriod = time.Hour
	}
	if s.queue, err = river.NewClient(riversqlite.New(s.db.DB), config); err != nil {
		return err
	}
	if err := s.tend(ctx); err != nil {
		return err
	}
	s.wait.Go(func() { s.keepTending(ctx) })
	if s.o.Workers > 0 {
		err = s.queue.Start(ctx)
		s.working = err == nil
	}
	return err
}

// StopWork ends the work of this process while the service still answers: a job
// that is being trained is saved and waits for whoever opens the folder next. It
// returns early when ctx ends. Close does it, too.
func (s *Service) StopWork(ctx context.Context) error {
	if !s.working {
		return nil
	}
	if err := s.queue.StopAndCancel(ctx); err != nil {
		return fmt.Errorf("jobs: saving what is being trained: %w", err)
	}
	return nil
}

// waiting tells whether the work of a job still waits in River's queue.
func (s *Service) waiting(ctx context.Context, work int64) (bool, error) {
	row, err := s.queue.JobGet(ctx, work)
	if errors.Is(err, river.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch row.State {
	case rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateScheduled, rivertype.JobStateRetryable:
		return true, nil
	}
	return false, nil
}

// riverLog lets River tell what goes wrong, and no more.
func (s *Service) riverLog() *slog.Logger { return slog.New(warnings{s.o.Log.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}
