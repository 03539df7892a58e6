package jobs

import (
	"context"
	"database/sql"
	"errors"
)

// Stats are a data folder's jobs at one moment, those of all owners.
type Stats struct {
	Jobs    map[Status]int // every status is there
	Running []Progress
}

// Progress is how far a job that trains has come, and the losses that it has
// last reported; nil before the first.
type Progress struct {
	Job                  string
	Step, Steps          int
	TrainLoss, ValidLoss *float64
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

// lastMetric is SQL for the newest figure of a name among a job's events.
func lastMetric(name string) string {
	value := `CASE WHEN data <> '' THEN json_extract(data, '$.` + name + `') END`
	return `(SELECT ` + value + ` FROM events WHERE events.job = jobs.id AND ` + value + ` IS NOT NULL ORDER BY seq DESC LIMIT 1)`
}

func (s *Stats) measure(ctx context.Context, tx *sql.Tx) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, step, steps, `+lastMetric("train_loss")+`, `+lastMetric("valid_loss")+`
		FROM jobs WHERE status = ? ORDER BY seq`, Running)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p Progress
		if err := rows.Scan(&p.Job, &p.Step, &p.Steps, &p.TrainLoss, &p.ValidLoss); err != nil {
			return err
		}
		s.Running = append(s.Running, p)
	}
	return rows.Err()
}
