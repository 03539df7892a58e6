package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNotFound is the answer about what is not there, or is another owner's.
	ErrNotFound = errors.New("store: there is no such thing")
	// ErrFull refuses to keep more than Options.MaxBytes.
	ErrFull = errors.New("store: the space for stored data is used up")
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

// Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	db *sql.DB
	// anchor keeps a database in memory alive: it ends with its last connection.
	anchor *sql.Conn
}

//go:embed migrations/*.sql
var migrations embed.FS

// pageSize is SQLite's default, named because limits are counted in pages.
const pageSize = 4096

// Open opens the database, makes it if need be, and brings its schema up to
// date. Close it.
func Open(ctx context.Context, o Options) (*Store, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	source, err := o.source()
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	db.SetMaxOpenConns(8)
	s := &Store{db: db}
	if s.anchor, err = db.Conn(ctx); err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: opening %s: %w", o.place(), err), s.Close())
	}
	return s, nil
}

func (o Options) place() string {
	if o.Folder == "" {
		return "a database in memory"
	}
	return filepath.Join(o.Folder, FileName)
}

// source is the database's URI with the settings of every connection.
func (o Options) source() (string, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(10000)", "foreign_keys(1)", "secure_delete(1)",
		fmt.Sprintf("page_size(%d)", pageSize), fmt.Sprintf("max_page_count(%d)", o.MaxBytes/pageSize),
	}}
	if o.Folder == "" {
		query.Set("vfs", "memdb")
		// A name of its own: databases of one name in a process are one.
		return (&url.URL{Scheme: "file", Path: fmt.Sprintf("/causerie-%016x", rand.Uint64()), RawQuery: query.Encode()}).String(), nil
	}
	query["_pragma"] = append(query["_pragma"], "journal_mode(WAL)", "synchronous(NORMAL)")
	folder, err := filepath.Abs(o.Folder)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("store: making the data folder: %w", err)
	}
	name := filepath.Join(folder, FileName)
	// SQLite would make it readable for everybody; its other files follow it.
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	if err := file.Close(); err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	path := filepath.ToSlash(name)
	if path[0] != '/' {
		path = "/" + path // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String(), nil
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, s.db, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Close ends the store.
func (s *Store) Close() error {
	var err error
	if s.anchor != nil {
		err = s.anchor.Close()
	}
	return errors.Join(err, s.db.Close())
}

// inTx runs f in a transaction.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // err says more than what comes of this
		return failed(err)
	}
	return failed(tx.Commit())
}

// failed turns SQLite's words into this package's.
func failed(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrTooMany):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("store: %w", err)
}

// oneRow makes ErrNotFound of a change that met nothing.
func oneRow(result sql.Result, err error) error {
	if err != nil {
		return failed(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return failed(err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}
