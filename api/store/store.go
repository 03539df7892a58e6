package store

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"causerie/internal/sqlite"
)

var (
	// ErrNotFound is the answer about what is not there, or is another owner's.
	ErrNotFound = sqlite.ErrNotFound
	// ErrFull refuses to keep more than Options.MaxBytes.
	ErrFull = sqlite.ErrFull
	// ErrAfter refuses a page that goes on after something that is not in the list.
	ErrAfter = sqlite.ErrAfter
	// ErrTooMany refuses an item beyond MaxItems.
	ErrTooMany = fmt.Errorf("store: a conversation can hold %d items", MaxItems)
)

// FileName is the database's name in the data folder.
const FileName = "causerie.db"

// Options of a Store. The zero value is a store in memory.
type Options struct {
	// Folder holds the database; it is made if need be, for its owner alone to
	// read. Empty keeps everything in memory.
	Folder string
	// MaxBytes bounds the database, in memory or on disk. 0 means 256 MiB in
	// memory and 4 GiB on disk.
	MaxBytes int64
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	switch {
	case o.MaxBytes != 0:
	case o.Folder == "":
		o.MaxBytes = 256 << 20
	default:
		o.MaxBytes = 4 << 30
	}
}

// Validate says what makes the options unusable.
func (o Options) Validate() error {
	if o.MaxBytes < 1<<20 {
		return fmt.Errorf("store: %d bytes are too few; a store needs at least %d", o.MaxBytes, 1<<20)
	}
	return nil
}

// Page is a piece of a list.
type Page = sqlite.Page

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	db *sqlite.DB
}

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the database, makes it if need be, and brings its schema up to
// date. Close it.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db, err := sqlite.Open(ctx, sqlite.Options{Folder: o.Folder, Name: FileName, MaxBytes: o.MaxBytes, Migrations: files})
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Store{db: db}, nil
}

// Close ends the store.
func (s *Store) Close() error { return s.db.Close() }

// inTx runs f in a transaction.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	return failed(s.db.InTx(ctx, f))
}

// failed turns SQLite's words into this package's.
func failed(err error) error {
	err = sqlite.Failed(err)
	for _, own := range []error{nil, ErrNotFound, ErrFull, ErrAfter, ErrTooMany} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("store: %w", err)
}

// oneRow makes ErrNotFound of a change that met nothing.
func oneRow(result sql.Result, err error) error { return failed(sqlite.OneRow(result, err)) }

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// encodeMetadata never writes null.
func encodeMetadata(m map[string]string) (string, error) {
	if m == nil {
		m = map[string]string{}
	}
	return encode(m)
}
