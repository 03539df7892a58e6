package jobs

import (
	"context"
	"database/sql"
	"encoding/json"

	"causerie/internal/sqlite"
)

// record is a job with what only the server needs to know of it.
type record struct {
	Job
	base       string // where its base is
	resultFile string // the id of the file of its metrics
	plan       plan   // once it has been validated
	work       int64  // its latest row in River's table
}

// find reads the record of a job of any owner.
func (s *Service) find(ctx context.Context, q sqlite.Querier, id string) (record, error) {
	var r record
	var plan string
	scan := func(fields ...any) error {
		return q.QueryRowContext(ctx, `SELECT `+jobColumns+`, base, result_file, plan, work FROM jobs WHERE id = ?`, id).
			Scan(append(fields, &r.base, &r.resultFile, &plan, &r.work)...)
	}
	var err error
	if r.Job, err = scanJob(scan); err != nil {
		return r, sqlite.Failed(err)
	}
	if plan != "" {
		err = json.Unmarshal([]byte(plan), &r.plan)
	}
	return r, err
}

// fail ends a job with what went wrong, unless it has ended otherwise.
func (s *Service) fail(ctx context.Context, id string, p *Problem) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.change(ctx, func(tx *sql.Tx) error {
		moved, err := move(ctx, tx, id, Failed)
		if err != nil || !moved {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE jobs SET error = ?, estimated_finish = 0 WHERE id = ?`, string(text), id); err != nil {
			return err
		}
		return addEvent(ctx, tx, id, LevelError, "The job failed: %s", p.Message)
	})
}
