package files

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"causerie/internal/sqlite"
)

// Purposes of files. FineTune and FineTuneResults mean something here; the
// others of OpenAI's are kept and given back.
const (
	FineTune        = "fine-tune"
	FineTuneResults = "fine-tune-results"
)

// Purposes lists what clients may upload files for.
func Purposes() []string {
	return []string{"assistants", "batch", "evals", FineTune, "user_data", "vision"}
}

// File is the record of a file.
type File struct {
	ID       string
	Filename string
	Purpose  string
	Bytes    int64
	Created  time.Time
}

// New describes a file that is to be kept.
type New struct {
	// ID of the file; a new one when empty. A file of the same owner that has
	// it already stays as it is, so that making a file can be repeated.
	ID       string
	Filename string
	Purpose  string
	// Last, if not nil, is called when the content has been written, before the
	// file is there: it may still change the name and the purpose of the record,
	// as forms have fields behind their files, or refuse it.
	Last func(*File) error
}

// NewID is an id that no file has.
func NewID() string { return "file-" + rand.Text() }

// TooLargeError refuses a file of more than Limit bytes.
type TooLargeError struct{ Limit int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the file has more than the %d bytes (%d MB) that a file may have", e.Limit, e.Limit>>20)
}

// States of a record. Only what is ready is visible.
const (
	stateWriting  = "writing"
	stateReady    = "ready"
	stateDeleting = "deleting"
)

// Create reads r to its end and keeps it as a file. When reading or writing
// fails, when r is longer than the limit (a *TooLargeError) or ctx ends, there
// is no file.
func (f *Files) Create(ctx context.Context, owner string, n New, r io.Reader) (File, error) {
	file := File{ID: cmp.Or(n.ID, NewID()), Filename: n.Filename, Purpose: n.Purpose, Created: time.Now().Truncate(time.Second)}
	if n.ID != "" {
		if there, err := f.Get(ctx, owner, n.ID); !errors.Is(err, ErrNotFound) {
			return there, err
		}
	}
	unlock, err := f.lock(file.ID)
	if err != nil {
		return File{}, err
	}
	defer unlock()
	_, err = f.db.ExecContext(ctx, `INSERT INTO files (id, owner, filename, purpose, created, state) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET created = excluded.created WHERE owner = excluded.owner AND state <> '`+stateReady+`'`,
		file.ID, owner, file.Filename, file.Purpose, file.Created.Unix(), stateWriting)
	if err != nil {
		return File{}, fmt.Errorf("files: %w", sqlite.Failed(err))
	}
	file.Bytes, err = f.write(ctx, file.ID, r)
	if err == nil && n.Last != nil {
		err = n.Last(&file)
	}
	if err == nil {
		err = sqlite.OneRow(f.db.ExecContext(ctx, `UPDATE files SET state = ?, bytes = ?, filename = ?, purpose = ? WHERE id = ? AND state = ?`,
			stateReady, file.Bytes, file.Filename, file.Purpose, file.ID, stateWriting))
	}
	if err != nil {
		// ctx may be what has ended. What stays is swept up at the next start.
		tidy, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return File{}, errors.Join(fmt.Errorf("files: keeping %s: %w", file.Filename, err), f.remove(tidy, file.ID))
	}
	return file, nil
}

// write copies r to the bucket, a piece at a time.
func (f *Files) write(ctx context.Context, id string, r io.Reader) (n int64, err error) {
	ctx, abort := context.WithCancel(ctx) // which is how a blob is not made after all
	defer abort()
	w, err := f.bucket.NewWriter(ctx, id, &blob.WriterOptions{ContentType: "application/octet-stream", DisableContentTypeDetection: true})
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(w, io.LimitReader(r, f.o.MaxBytes+1))
	if err == nil && n > f.o.MaxBytes {
		err = &TooLargeError{Limit: f.o.MaxBytes}
	}
	if err != nil {
		abort()
		_ = w.Close() // it says that it was aborted
		return 0, err
	}
	return n, w.Close()
}

const fileColumns = `id, filename, purpose, bytes, created`

func scanFile(scan func(...any) error) (f File, err error) {
	var created int64
	err = scan(&f.ID, &f.Filename, &f.Purpose, &f.Bytes, &created)
	f.Created = time.Unix(created, 0)
	return f, err
}

const visible = `owner = ? AND state = '` + stateReady + `'`

// Get finds a file by its id.
func (f *Files) Get(ctx context.Context, owner, id string) (File, error) {
	row := f.db.QueryRowContext(ctx, `SELECT `+fileColumns+` FROM files WHERE `+visible+` AND id = ?`, owner, id)
	file, err := scanFile(row.Scan)
	return file, sqlite.Failed(err)
}

// List gives a page of an owner's files, those of a purpose unless it is empty,
// and says whether there are more behind it.
func (f *Files) List(ctx context.Context, owner, purpose string, p Page) ([]File, bool, error) {
	where, args := visible, []any{owner}
	if purpose != "" {
		where, args = where+` AND purpose = ?`, append(args, purpose)
	}
	return sqlite.List(ctx, f.db, sqlite.Select{Columns: fileColumns, Table: "files", Where: where, Args: args}, p, scanFile)
}

// Open reads a file. Close the reader.
func (f *Files) Open(ctx context.Context, owner, id string) (io.ReadSeekCloser, File, error) {
	file, err := f.Get(ctx, owner, id)
	if err != nil {
		return nil, File{}, err
	}
	r, err := f.bucket.NewReader(ctx, id, nil)
	if gcerrors.Code(err) == gcerrors.NotFound {
		return nil, File{}, fmt.Errorf("%w: %s (%s)", ErrGone, id, file.Filename)
	}
	if err != nil {
		return nil, File{}, fmt.Errorf("files: %w", err)
	}
	return r, file, nil
}

// Delete removes a file. Who reads it may not come to its end.
func (f *Files) Delete(ctx context.Context, owner, id string) error {
	err := sqlite.OneRow(f.db.ExecContext(ctx, `UPDATE files SET state = ? WHERE `+visible+` AND id = ?`, stateDeleting, owner, id))
	if err != nil {
		return err
	}
	return f.remove(ctx, id)
}

// remove takes away a blob and then its record, which says until then that the
// blob may be there.
func (f *Files) remove(ctx context.Context, id string) error {
	if err := f.bucket.Delete(ctx, id); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("files: removing %s: %w", id, err)
	}
	_, err := f.db.ExecContext(ctx, `DELETE FROM files WHERE id = ? AND state <> ?`, id, stateReady)
	return sqlite.Failed(err)
}
