package jobs

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"causerie/internal/durable"
)

// Names in the folder of jobs.
const (
	lockSuffix = ".lock" // beside a job's folder
	runName    = "run"   // in a job's folder: what the trainer writes
)

// tendInterval is how often to look for jobs whose process has ended.
const tendInterval = 2 * time.Second

// lock takes the lock that a process holds while it works at a job, if nobody
// has it. The system gives it back when the process ends, however it ends.
func (s *Service) lock(id string) (unlock func() error, ok bool, err error) {
	f := flock.New(s.jobFolder(id)+lockSuffix, flock.SetPermissions(0o600))
	ok, err = f.TryLock()
	if err != nil || !ok {
		return nil, false, errors.Join(err, f.Close())
	}
	return f.Close, true, nil
}

func (s *Service) keepTending(ctx context.Context) {
	tick := time.NewTicker(tendInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.tend(ctx); err != nil && ctx.Err() == nil {
			s.o.Log.Error("looking after the jobs", "error", err)
		}
	}
}

// tend puts jobs that nobody works at any more back in the queue, and removes
// what jobs that are over, killed processes and deleted models have left.
func (s *Service) tend(ctx context.Context) error {
	ids, err := s.texts(ctx, `SELECT id FROM jobs WHERE status IN (?, ?, ?) ORDER BY seq`, Validating, Queued, Running)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		errs = append(errs, s.holding(id, func() error { return s.requeue(ctx, id) }))
	}
	return errors.Join(append(errs, s.tidyJobs(ctx), s.tidyModels(ctx))...)
}

// holding does something to a job at which nobody works, and nothing otherwise.
func (s *Service) holding(id string, do func() error) error {
	unlock, ok, err := s.lock(id)
	if err != nil || !ok {
		return err
	}
	return errors.Join(do(), unlock())
}

// requeue puts a job in River's queue that is not there, although it should be:
// the process that had taken it out has ended.
func (s *Service) requeue(ctx context.Context, id string) error {
	r, err := s.find(ctx, s.db, id)
	if err != nil {
		return err
	}
	waits, err := s.waiting(ctx, r.work)
	if err != nil || r.Status == Paused || r.Status.Final() || waits && r.Status != Running {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		if r.Status == Running {
			if moved, err := move(ctx, tx, id, Queued); err != nil || !moved {
				return err
			}
			err := addEvent(ctx, tx, id, LevelWarn, "The process that trained has ended; the job goes on from its last checkpoint")
			if err != nil || waits {
				return err
			}
		}
		return s.enqueue(ctx, tx, id, r.Status)
	})
}

// tidyJobs removes the folders of jobs that are over.
func (s *Service) tidyJobs(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.folder, jobsName))
	if err != nil {
		return err
	}
	var errs []error
	seen := map[string]bool{}
	for _, e := range entries {
		id := strings.TrimSuffix(e.Name(), lockSuffix)
		if seen[id] || !strings.HasPrefix(id, jobPrefix) {
			continue
		}
		seen[id] = true
		r, err := s.find(ctx, s.db, id)
		switch {
		case errors.Is(err, ErrNotFound), err == nil && r.Status.Final():
			errs = append(errs, s.holding(id, func() error { return s.tidyJob(id) }))
		case err != nil:
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// tidyJob removes a job's folder. A lock file that somebody else has open by
// then locks nothing, which does no harm: the job is over.
func (s *Service) tidyJob(id string) error {
	return errors.Join(os.RemoveAll(s.jobFolder(id)), os.Remove(s.jobFolder(id)+lockSuffix))
}

// tidyModels removes folders of models that were not finished, or are deleted.
func (s *Service) tidyModels(ctx context.Context) error {
	entries, err := os.ReadDir(filepath.Join(s.folder, modelsName))
	if err != nil {
		return err
	}
	known, err := s.texts(ctx, `SELECT folder FROM models`)
	if err != nil {
		return err
	}
	for _, name := range known {
		entries = without(entries, name)
	}
	var errs []error
	for _, e := range entries {
		job := jobPrefix + jobOfFolder(e.Name())
		errs = append(errs, s.holding(job, func() error {
			var known int
			row := s.db.QueryRowContext(ctx, `SELECT count(*) FROM models WHERE folder = ?`, e.Name())
			if err := row.Scan(&known); err != nil || known > 0 {
				return err
			}
			return os.RemoveAll(s.modelFolder(e.Name()))
		}))
	}
	return errors.Join(errs...)
}

func without(entries []os.DirEntry, name string) []os.DirEntry {
	for i, e := range entries {
		if e.Name() == name {
			return append(entries[:i], entries[i+1:]...)
		}
	}
	return entries
}

// jobOfFolder is the part of a job's id in the name of a folder of models,
// finished or not.
func jobOfFolder(name string) string {
	for _, prefix := range []string{durable.PartialPrefix, durable.RemovedPrefix} {
		name = strings.TrimPrefix(name, prefix)
	}
	job, _, _ := strings.Cut(name, "-")
	return job
}

// texts is the one column of a query.
func (s *Service) texts(ctx context.Context, query string, args ...any) (list []string, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		list = append(list, text)
	}
	return list, rows.Err()
}
