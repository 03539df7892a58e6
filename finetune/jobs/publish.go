package jobs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"causerie/finetune"
	"causerie/finetune/files"
	"causerie/internal/durable"
)

// folderName is the name in the folder of models of a job's result (step 0) or
// of one of its checkpoints.
func folderName(job string, step int) string {
	name := strings.TrimPrefix(job, jobPrefix)
	if step == 0 {
		return name + "-result"
	}
	return fmt.Sprintf("%s-step-%06d", name, step)
}

// publish puts the model that is in a folder of the trainer's in the folder of
// models. Nobody knows of it before there is a record.
func (s *Service) publish(r record, from string, step int) (Model, error) {
	name := folderName(r.ID, step)
	m := Model{
		ID: s.modelName(r.Job, step), Owner: r.Owner, Kind: r.Method.Adapter.Kind, Base: r.Model, BaseFolder: r.base,
		Created: time.Now(), Job: r.ID, Step: step, Folder: s.modelFolder(name),
	}
	if _, err := os.Stat(m.Folder); err == nil { // of a process that ended before it was recorded
		if err := durable.RemoveFolder(m.Folder); err != nil {
			return m, err
		}
	}
	names, err := finetune.ModelFiles(from)
	if err != nil {
		return m, err
	}
	err = durable.CreateFolder(filepath.Dir(m.Folder), name, func(dir string) error {
		for _, file := range names {
			if err := linkOrCopy(filepath.Join(from, file), filepath.Join(dir, file)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return m, fmt.Errorf("publishing the model %s: %w", m.ID, err)
	}
	return m, nil
}

// linkOrCopy gives a file a second name, which costs no room: the trainer never
// changes a file that it has finished.
func linkOrCopy(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	return durable.WriteFile(to, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

func insertModel(ctx context.Context, tx *sql.Tx, m Model) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO models (id, owner, kind, base, path, folder, created, job, step) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		m.ID, m.Owner, m.Kind, m.Base, m.BaseFolder, filepath.Base(m.Folder), m.Created.Unix(), m.Job, m.Step)
	return err
}

// succeed publishes the result of a job and ends it.
func (s *Service) succeed(ctx context.Context, r record, result finetune.Result) error {
	m, err := s.publish(r, result.Out, 0)
	if err != nil {
		return err
	}
	if err := s.keepMetrics(ctx, r); err != nil {
		return err
	}
	err = s.change(ctx, func(tx *sql.Tx) error {
		moved, err := move(ctx, tx, r.ID, Succeeded)
		if err == nil && !moved {
			err = errStopped
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE jobs SET fine_tuned_model = ?, trained_tokens = ?, step = ?, estimated_finish = 0 WHERE id = ?`,
			m.ID, result.Tokens, result.Step, r.ID)
		if err != nil {
			return err
		}
		if err := insertModel(ctx, tx, m); err != nil {
			return err
		}
		if result.Stale {
			err := addEvent(ctx, tx, r.ID, LevelInfo, "Training ended after step %d of %d: the validation loss no longer falls", result.Step, result.Steps)
			if err != nil {
				return err
			}
		}
		if err := addEvent(ctx, tx, r.ID, LevelInfo, "New fine-tuned model created: %s", m.ID); err != nil {
			return err
		}
		return addEvent(ctx, tx, r.ID, LevelInfo, "The job has successfully completed")
	})
	if errors.Is(err, errStopped) { // cancelled, or paused, at the last moment
		if deleteErr := s.o.Files.Delete(ctx, r.Owner, r.resultFile); !errors.Is(deleteErr, files.ErrNotFound) {
			err = errors.Join(err, deleteErr)
		}
	}
	return err // tend removes what the job no longer needs, a model without a record too
}

// publishCheckpoint makes a checkpoint usable as a model, and lets go of older
// ones. One that was published before stays as it is.
func (s *Service) publishCheckpoint(ctx context.Context, r record, from string, step int) error {
	var there int
	if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM checkpoints WHERE job = ? AND step = ?`, r.ID, step).Scan(&there); err != nil || there > 0 {
		return err
	}
	m, err := s.publish(r, from, step)
	if err != nil {
		return err
	}
	measured, err := s.metricsOf(r, step)
	if err != nil {
		return err
	}
	metrics, err := json.Marshal(measured)
	if err != nil {
		return err
	}
	var old []string
	err = s.change(ctx, func(tx *sql.Tx) error {
		if err := insertModel(ctx, tx, m); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO checkpoints (id, job, created, step, model, metrics) VALUES (?, ?, ?, ?, ?, ?)`,
			newID("ftckpt-"), r.ID, m.Created.Unix(), step, m.ID, string(metrics))
		if err != nil {
			return err
		}
		if err := addEvent(ctx, tx, r.ID, LevelInfo, "Checkpoint created at step %d: %s", step, m.ID); err != nil {
			return err
		}
		old, err = dropOldCheckpoints(ctx, tx, r.ID)
		return err
	})
	for _, folder := range old {
		err = errors.Join(err, removeModel(s.modelFolder(folder)))
	}
	return err
}

// dropOldCheckpoints forgets all but the latest checkpoints of a job, and
// returns their folders. One that adapters are trained beside stays.
func dropOldCheckpoints(ctx context.Context, tx *sql.Tx, job string) (folders []string, err error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM models WHERE id IN
		(SELECT model FROM checkpoints WHERE job = ? ORDER BY step DESC LIMIT -1 OFFSET ?)
		AND NOT EXISTS (SELECT 1 FROM models AS beside WHERE beside.kind = 'lora' AND beside.path LIKE '%/' || models.folder)
		RETURNING folder`, job, keptCheckpoints)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var folder string
		if err := rows.Scan(&folder); err != nil {
			return nil, err
		}
		folders = append(folders, folder)
	}
	return folders, rows.Err()
}
