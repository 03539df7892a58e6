package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"causerie/internal/sqlite"
)

// addEvent records a message about a job.
func addEvent(ctx context.Context, tx *sql.Tx, job, level, format string, args ...any) error {
	return insertEvent(ctx, tx, Event{Job: job, Level: level, Message: fmt.Sprintf(format, args...), Type: TypeMessage}, -1)
}

// insertEvent records an event that belongs to a step, or to none (-1). What was
// told of a step is not told again when a resumed training takes it anew: the
// numbers are the same.
func insertEvent(ctx context.Context, tx *sql.Tx, e Event, step int) error {
	data := ""
	if e.Data != nil {
		text, err := json.Marshal(e.Data)
		if err != nil {
			return err
		}
		data = string(text)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO events (id, job, created, level, message, type, data, step)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 WHERE ?8 < 0 OR NOT EXISTS (SELECT 1 FROM events WHERE job = ?2 AND step = ?8 AND message = ?5)`,
		newID("ftevent-"), e.Job, time.Now().Unix(), e.Level, e.Message, e.Type, data, step)
	return err
}

func scanEvent(scan func(...any) error) (e Event, err error) {
	var created int64
	var data string
	if err := scan(&e.ID, &e.Job, &created, &e.Level, &e.Message, &e.Type, &data); err != nil {
		return e, err
	}
	e.Created = timeOf(created)
	if data != "" {
		err = json.Unmarshal([]byte(data), &e.Data)
	}
	return e, err
}

// Events lists a page of what happened to a job, and says whether there is more
// behind it.
func (s *Service) Events(ctx context.Context, owner, job string, p Page) ([]Event, bool, error) {
	if _, err := s.Job(ctx, owner, job); err != nil {
		return nil, false, err
	}
	return sqlite.List(ctx, s.db, sqlite.Select{
		Columns: "id, job, created, level, message, type, data", Table: "events", Where: "job = ?", Args: []any{job},
	}, p, scanEvent)
}

// followPage is how many events are read at once.
const followPage = 100

// Follow hands on the events of a job as they happen, those before first, the
// oldest first; after, if not empty, names the event behind which to begin. It
// returns nil when the job has come to its end and all was told, and otherwise
// with the error of emit or of ctx.
func (s *Service) Follow(ctx context.Context, owner, job, after string, emit func(Event) error) error {
	for {
		changed := s.changes.after()
		j, err := s.Job(ctx, owner, job)
		if err != nil {
			return err
		}
		list, more, err := s.Events(ctx, owner, job, Page{After: after, Limit: followPage})
		if err != nil {
			return err
		}
		for _, e := range list {
			if err := emit(e); err != nil {
				return err
			}
			after = e.ID
		}
		switch {
		case more:
			continue
		case j.Status.Final():
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
