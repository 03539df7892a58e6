// Package sqlite opens the databases that causerie keeps: SQLite files in a
// data folder, or databases in memory, with their schema brought up to date by
// goose. It has what the packages that own such a database share: transactions,
// pages of lists, and errors that say what happened.
package sqlite

import (
	"context"
	"database/sql"
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
	ErrNotFound = errors.New("there is no such thing")
	// ErrFull refuses to keep more than Options.MaxBytes, or than the disk holds.
	ErrFull = errors.New("the space for stored data is used up")
)

// Options of a database.
type Options struct {
	// Folder holds the database; it is made if need be, for its owner alone to
	// read. Empty keeps everything in memory.
	Folder string
	// Name is the file's name in Folder.
	Name string
	// MaxBytes bounds the database, in memory or on disk.
	MaxBytes int64
	// Migrations are goose's files, which make the schema.
	Migrations fs.FS
}

// DB is an open database. Its methods may be called from any goroutine, and
// several processes may have one file open.
type DB struct {
	*sql.DB
	// anchor keeps a database in memory alive: it ends with its last connection.
	anchor *sql.Conn
}

// pageSize is SQLite's default, named because limits are counted in pages.
const pageSize = 4096

// Open opens the database, makes it if need be, and brings its schema up to
// date. Close it.
func Open(ctx context.Context, o Options) (*DB, error) {
	source, err := o.source()
	if err != nil {
		return nil, err
	}
	pool, err := sql.Open("sqlite", source)
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(8)
	db := &DB{DB: pool}
	if db.anchor, err = pool.Conn(ctx); err == nil {
		err = db.migrate(ctx, o.Migrations)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("opening %s: %w", o.place(), err), db.Close())
	}
	return db, nil
}

func (o Options) place() string {
	if o.Folder == "" {
		return "a database in memory"
	}
	return filepath.Join(o.Folder, o.Name)
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
		return "", err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", fmt.Errorf("making the data folder: %w", err)
	}
	name := filepath.Join(folder, o.Name)
	// SQLite would make it readable for everybody; its other files follow it.
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	if err := file.Close(); err != nil {
		return "", err
	}
	path := filepath.ToSlash(name)
	if path[0] != '/' {
		path = "/" + path // a drive letter
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String(), nil
}

func (db *DB) migrate(ctx context.Context, files fs.FS) error {
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.DB, files)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// Close ends the database.
func (db *DB) Close() error {
	var err error
	if db.anchor != nil {
		err = db.anchor.Close()
	}
	return errors.Join(err, db.DB.Close())
}

// InTx runs f in a transaction, which an error of f undoes.
func (db *DB) InTx(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return Failed(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback() // err says more than what comes of this
		return Failed(err)
	}
	return Failed(tx.Commit())
}

// Failed turns SQLite's words into this package's errors; others stay.
func Failed(err error) error {
	switch {
	case err == nil, errors.Is(err, ErrFull):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	}
	if e, ok := errors.AsType[*sqlite.Error](err); ok && e.Code() == sqlite3.SQLITE_FULL {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// OneRow makes ErrNotFound of a change that met nothing.
func OneRow(result sql.Result, err error) error {
	if err != nil {
		return Failed(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return Failed(err)
	}
	if n == 0 {
		return ErrNotFound
	}
	return nil
}

// Querier is a database or a transaction.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}
