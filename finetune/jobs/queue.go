package jobs

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
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

// startWork makes the queue.
func (s *Service) startWork(context.Context) (err error) {
	s.queue, err = river.NewClient(riversqlite.New(s.db.DB), &river.Config{Logger: s.riverLog()})
	return err
}

// stopWork ends the work at the queue.
func (s *Service) stopWork() error { return nil }

// riverLog lets River tell what goes wrong, and no more.
func (s *Service) riverLog() *slog.Logger { return slog.New(warnings{s.o.Log.Handler()}) }

type warnings struct{ slog.Handler }

func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}
