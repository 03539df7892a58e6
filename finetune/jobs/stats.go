package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
)

// Stats are a data folder's jobs at one moment, those of all owners.
type Stats struct {
	Jobs    map[Status]int // every status is there
	Running []Progress
}

// Progress is how far a job that trains has come. Metrics are those of its last
// step that has any.
type Progress struct {
	Job         string
	Step, Steps int
	Metrics     map[string]any // as an event's; nil before the first
}

// Stats counts the jobs.
func (s *Service) Stats(ctx context.Context) (Stats, error) {
	stats := Stats{Jobs: make(map[Status]int)}
	for status := range transitions {
		stats.Jobs[status] = 0
	}
	err := s.db.InTx(ctx, func(tx *sql.Tx) error {
		return errors.Join(stats.count(ctx, tx), stats.measure(ctx, tx))
	})
	return stats, err
}

func (s *Stats) count(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT status, count(*) FROM jobs GROUP BY status`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var status Status
		var n int
		if err := rows.Scan(&status, &n); err != nil {
			return err
		}
		s.Jobs[status] = n
	}
	return rows.Err()
}

func (s *Stats) measure(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, step, steps, coalesce((SELECT data FROM events WHERE events.job = jobs.id AND type = ?
		ORDER BY seq DESC LIMIT 1), '') FROM jobs WHERE status = ? ORDER BY seq`, TypeMetrics, Running)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p Progress
		var data string
		if err := rows.Scan(&p.Job, &p.Step, &p.Steps, &data); err != nil {
			return err
		}
		if data != "" {
			if err := json.Unmarshal([]byte(data), &p.Metrics); err != nil {
				return err
			}
		}
		s.Running = append(s.Running, p)
	}
	return rows.Err()
}
