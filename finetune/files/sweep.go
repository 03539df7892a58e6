package files

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"causerie/internal/sqlite"
)

// errBusy says that somebody is writing a file at this moment.
var errBusy = errors.New("files: the file is being written by another process")

// lock takes the lock that who writes a file has while it does, and which the
// system gives back when the process ends, however it ends.
func (f *Files) lock(id string) (unlock func(), err error) {
	if f.o.Folder == "" {
		return func() {}, nil // nobody else can have it open
	}
	l := flock.New(filepath.Join(f.o.Folder, uploadsName, id), flock.SetPermissions(0o600))
	ok, err := l.TryLock()
	switch {
	case err != nil:
		return nil, errors.Join(fmt.Errorf("files: %w", err), l.Close())
	case !ok:
		return nil, errors.Join(errBusy, l.Close())
	}
	return func() {
		_ = os.Remove(l.Path()) // an empty file more does no harm
		_ = l.Close()
	}, nil
}

// sweep removes files that were being written or deleted when a process ended.
func (f *Files) sweep(ctx context.Context) error {
	rows, err := f.db.QueryContext(ctx, `SELECT id FROM files WHERE state <> ?`, stateReady)
	if err != nil {
		return sqlite.Failed(err)
	}
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return errors.Join(err, rows.Close())
		}
		ids = append(ids, id)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, id := range ids {
		if err := f.sweepFile(ctx, id); err != nil && !errors.Is(err, errBusy) {
			return fmt.Errorf("removing what an earlier run left unfinished: %w", err)
		}
	}
	return nil
}

// sweepFile removes a file at which nobody works, unless it is ready by now.
func (f *Files) sweepFile(ctx context.Context, id string) error {
	unlock, err := f.lock(id)
	if err != nil {
		return err
	}
	defer unlock()
	var state string
	err = sqlite.Failed(f.db.QueryRowContext(ctx, `SELECT state FROM files WHERE id = ?`, id).Scan(&state))
	if errors.Is(err, ErrNotFound) || err == nil && state == stateReady {
		return nil
	}
	if err != nil {
		return err
	}
	if f.local != "" { // what the bucket's own writer was in the middle of
		unfinished, err := filepath.Glob(filepath.Join(f.local, id+".*.tmp"))
		if err != nil {
			return err
		}
		for _, path := range unfinished {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return f.remove(ctx, id)
}
