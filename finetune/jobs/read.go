package jobs

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"causerie/internal/sqlite"
)

const jobColumns = `id, owner, status, model, training_file, validation_file, result_file, method, suffix, seed, metadata,
	created, finished, estimated_finish, trained_tokens, step, steps, fine_tuned_model, error`

func scanJob(scan func(...any) error) (j Job, err error) {
	var result, method, metadata, problem string
	var created, finished, estimated int64
	err = scan(&j.ID, &j.Owner, &j.Status, &j.Model, &j.TrainingFile, &j.ValidationFile, &result, &method, &j.Suffix, &j.Seed, &metadata,
		&created, &finished, &estimated, &j.TrainedTokens, &j.Step, &j.Steps, &j.FineTunedModel, &problem)
	if err != nil {
		return j, err
	}
	j.Created, j.Finished, j.EstimatedFinish = timeOf(created), timeOf(finished), timeOf(estimated)
	if j.Status == Succeeded {
		j.ResultFiles = []string{result}
	}
	if problem != "" {
		j.Error = new(Problem)
		err = json.Unmarshal([]byte(problem), j.Error)
	}
	return j, errors.Join(err, json.Unmarshal([]byte(method), &j.Method), json.Unmarshal([]byte(metadata), &j.Metadata))
}

// timeOf is a time of the database; 0 is none.
func timeOf(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0)
}

// Job finds a job by its id.
func (s *Service) Job(ctx context.Context, owner, id string) (Job, error) {
	return findJob(ctx, s.db, owner, id)
}

func findJob(ctx context.Context, q sqlite.Querier, owner, id string) (Job, error) {
	j, err := scanJob(q.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM jobs WHERE owner = ? AND id = ?`, owner, id).Scan)
	return j, sqlite.Failed(err)
}

// Jobs lists a page of an owner's jobs, those that have all of the metadata, and
// says whether there are more behind it.
func (s *Service) Jobs(ctx context.Context, owner string, metadata map[string]string, p Page) ([]Job, bool, error) {
	where, args := `owner = ?`, []any{owner}
	for key, value := range metadata {
		where += ` AND EXISTS (SELECT 1 FROM json_each(jobs.metadata) AS m WHERE m.key = ? AND m.value = ?)`
		args = append(args, key, value)
	}
	return sqlite.List(ctx, s.db, sqlite.Select{Columns: jobColumns, Table: "jobs", Where: where, Args: args}, p, scanJob)
}

// Checkpoints lists a page of a job's checkpoints, and says whether there are
// more behind it.
func (s *Service) Checkpoints(ctx context.Context, owner, job string, p Page) ([]Checkpoint, bool, error) {
	if _, err := s.Job(ctx, owner, job); err != nil {
		return nil, false, err
	}
	return sqlite.List(ctx, s.db, sqlite.Select{
		Columns: "id, job, created, step, model, metrics", Table: "checkpoints", Where: "job = ?", Args: []any{job},
	}, p, scanCheckpoint)
}

func scanCheckpoint(scan func(...any) error) (c Checkpoint, err error) {
	var created int64
	var metrics string
	if err := scan(&c.ID, &c.Job, &created, &c.Step, &c.Model, &metrics); err != nil {
		return c, err
	}
	c.Created = timeOf(created)
	return c, json.Unmarshal([]byte(metrics), &c.Metrics)
}

// change runs f in a transaction and tells everybody who waits for changes.
func (s *Service) change(ctx context.Context, f func(*sql.Tx) error) error {
	if err := s.db.InTx(ctx, f); err != nil {
		return err
	}
	s.changes.announce()
	return nil
}

// move changes a job's status where that is a legal transition, and reports
// whether it did.
func move(ctx context.Context, tx *sql.Tx, id string, to Status) (bool, error) {
	from := to.before()
	args := []any{to, finishedAt(to), id}
	marks := ""
	for _, f := range from {
		marks += ",?"
		args = append(args, f)
	}
	result, err := tx.ExecContext(ctx, `UPDATE jobs SET status = ?, finished = ? WHERE id = ? AND status IN (`+marks[1:]+`)`, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n == 1, err
}

func finishedAt(to Status) int64 {
	if to.Final() {
		return time.Now().Unix()
	}
	return 0
}

// control is an owner's wish about a job.
func (s *Service) control(ctx context.Context, owner, id, action string, to Status, then func(*sql.Tx, Job) error) (Job, error) {
	var j Job
	err := s.change(ctx, func(tx *sql.Tx) (err error) {
		if j, err = findJob(ctx, tx, owner, id); err != nil {
			return err
		}
		moved, err := move(ctx, tx, id, to)
		if err != nil {
			return err
		}
		if !moved {
			return &StatusError{Job: id, Status: j.Status, Action: action}
		}
		if err := then(tx, j); err != nil {
			return err
		}
		j, err = findJob(ctx, tx, owner, id)
		return err
	})
	return j, err
}

// Cancel ends a job. If it is being trained, that ends within a step; its
// checkpoints stay.
func (s *Service) Cancel(ctx context.Context, owner, id string) (Job, error) {
	return s.control(ctx, owner, id, "cancel", Cancelled, func(tx *sql.Tx, _ Job) error {
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET estimated_finish = 0 WHERE id = ?`, id)
		return cmp.Or(err, addEvent(ctx, tx, id, LevelInfo, "The job was cancelled"))
	})
}

// Pause stops a job that trains, within a step, or that waits for its turn.
func (s *Service) Pause(ctx context.Context, owner, id string) (Job, error) {
	return s.control(ctx, owner, id, "pause", Paused, func(tx *sql.Tx, _ Job) error {
		_, err := tx.ExecContext(ctx, `UPDATE jobs SET estimated_finish = 0 WHERE id = ?`, id)
		return cmp.Or(err, addEvent(ctx, tx, id, LevelInfo, "The job was paused"))
	})
}

// Resume puts a paused job back in the queue; it goes on from its last step.
func (s *Service) Resume(ctx context.Context, owner, id string) (Job, error) {
	return s.control(ctx, owner, id, "resume", Queued, func(tx *sql.Tx, j Job) error {
		if j.Status != Paused { // a status from which only the runner goes to this one
			return &StatusError{Job: id, Status: j.Status, Action: "resume"}
		}
		if err := addEvent(ctx, tx, id, LevelInfo, "The job was resumed"); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, id, Queued)
	})
}
