package durable

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync/atomic"
)

// Op is a kind of change to the disk.
type Op string

// The kinds.
const (
	OpCreate Op = "create" // of a file or a folder
	OpWrite  Op = "write"
	OpSync   Op = "sync"
	OpRename Op = "rename"
)

// fault, if not nil, is asked before every change.
var fault atomic.Pointer[func(op Op, path string) error]

// Inject lets changes to the disk fail with the errors that ask returns for
// them, until restore is called. It is for tests: it concerns the whole process.
// A write that fails writes half of its bytes before, as on a full disk.
func Inject(ask func(op Op, path string) error) (restore func()) {
	fault.Store(&ask)
	return func() { fault.Store(nil) }
}

func before(op Op, path string) error {
	ask := fault.Load()
	if ask == nil {
		return nil
	}
	if err := (*ask)(op, path); err != nil {
		return &os.PathError{Op: string(op), Path: path, Err: err}
	}
	return nil
}

// Writer writes to a file.
func Writer(f *os.File) io.Writer { return writer{f} }

type writer struct{ *os.File }

func (w writer) Write(p []byte) (int, error) {
	if err := before(OpWrite, w.Name()); err != nil {
		n, writeErr := w.File.Write(p[:len(p)/2])
		return n, errors.Join(err, writeErr)
	}
	return w.File.Write(p)
}

// WriteFile writes a file under its own name, for folders that nobody sees yet.
func WriteFile(path string, fill func(io.Writer) error) (err error) {
	if err := before(OpCreate, path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(fill(Writer(f)), f.Close())
}

// WriteBytes is WriteFile for what is in memory.
func WriteBytes(path string, data []byte) error {
	return WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Rename is os.Rename.
func Rename(from, to string) error {
	if err := before(OpRename, to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// MkdirAll is os.MkdirAll for folders that everybody may read.
func MkdirAll(path string) error {
	if err := before(OpCreate, path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o755)
}

// Sync flushes a file or a folder to the disk.
func Sync(path string) error {
	if runtime.GOOS == "windows" {
		return nil // neither folders nor files opened for reading can be flushed there
	}
	if err := before(OpSync, path); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
