package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"causerie/internal/sqlite"
)

// ErrInUse refuses to delete a model that others need.
var ErrInUse = errors.New("jobs: other models are made of this one")

const modelColumns = `id, owner, kind, base, path, folder, created, job, step`

func (s *Service) scanModel(scan func(...any) error) (m Model, err error) {
	var created int64
	err = scan(&m.ID, &m.Owner, &m.Kind, &m.Base, &m.BaseFolder, &m.Folder, &created, &m.Job, &m.Step)
	m.Created, m.Folder = timeOf(created), s.modelFolder(m.Folder)
	return m, err
}

// Model finds a fine-tuned model by its name.
func (s *Service) Model(ctx context.Context, owner, id string) (Model, error) {
	m, err := s.scanModel(s.db.QueryRowContext(ctx, `SELECT `+modelColumns+` FROM models WHERE owner = ? AND id = ?`, owner, id).Scan)
	return m, sqlite.Failed(err)
}

// Models lists a page of an owner's fine-tuned models, those of checkpoints
// too, and says whether there are more behind it.
func (s *Service) Models(ctx context.Context, owner string, p Page) ([]Model, bool, error) {
	return sqlite.List(ctx, s.db, sqlite.Select{Columns: modelColumns, Table: "models", Where: "owner = ?", Args: []any{owner}}, p, s.scanModel)
}

// DeleteModel takes a fine-tuned model away, its checkpoint with it if it is
// one's. A model that adapters are beside is ErrInUse.
func (s *Service) DeleteModel(ctx context.Context, owner, id string) error {
	m, err := s.Model(ctx, owner, id)
	if err != nil {
		return err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		var needed int
		row := tx.QueryRowContext(ctx, `SELECT count(*) FROM models WHERE kind = ? AND path = ?`, LoRA, m.Folder)
		if err := row.Scan(&needed); err != nil {
			return err
		}
		if needed > 0 {
			return fmt.Errorf("%w: %d adapters are trained beside %s", ErrInUse, needed, id)
		}
		return sqlite.OneRow(tx.ExecContext(ctx, `DELETE FROM models WHERE owner = ? AND id = ?`, owner, id))
	})
	if err != nil {
		return err
	}
	return removeModel(m.Folder)
}

// ModelChange is a model that has appeared or has gone.
type ModelChange struct {
	Model Model
	Gone  bool
}

// WatchModels tells of every fine-tuned model of any owner: first of those that
// there are, then of those that appear and go, whoever made or deleted them. It
// returns when ctx ends (nil) or with the error of tell.
func (s *Service) WatchModels(ctx context.Context, tell func(ModelChange) error) error {
	known := map[string]Model{}
	for {
		changed := s.changes.after()
		now, err := s.allModels(ctx)
		if err != nil && ctx.Err() == nil {
			s.o.Log.Error("looking for fine-tuned models", "error", err)
		}
		if err == nil {
			if err := tellDifference(known, now, tell); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}

// tellDifference makes known what now is.
func tellDifference(known map[string]Model, now []Model, tell func(ModelChange) error) error {
	there := make(map[string]bool, len(now))
	for _, m := range now {
		there[m.ID] = true
		if _, ok := known[m.ID]; ok {
			continue
		}
		if err := tell(ModelChange{Model: m}); err != nil {
			return err
		}
		known[m.ID] = m
	}
	for id, m := range known {
		if there[id] {
			continue
		}
		if err := tell(ModelChange{Model: m, Gone: true}); err != nil {
			return err
		}
		delete(known, id)
	}
	return nil
}

func (s *Service) allModels(ctx context.Context) (list []Model, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+modelColumns+` FROM models ORDER BY seq`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		m, err := s.scanModel(rows.Scan)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

// removeModel takes a model's folder away.
func removeModel(folder string) error { return os.RemoveAll(folder) }
