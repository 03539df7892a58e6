// Package durable writes folders and files that are whole or not there: into a
// hidden name first, flushed to the disk, then renamed. A killed process or a
// full disk leaves at most hidden names behind, which Sweep removes.
//
// Everything that is written on the way goes through this package's Create,
// WriteFile and Writer, so that a test can let any write fail (see Inject).
package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Names of what is not finished, or no longer wanted. Nobody looks at such
// files; Sweep removes those that a killed run left behind.
const (
	PartialPrefix = ".partial-"
	RemovedPrefix = ".removed-"
)

// CreateFolder makes the folder parent/name all at once: fill writes into a
// folder beside it, which is flushed to the disk and renamed. If anything goes
// wrong, there is no folder of that name.
func CreateFolder(parent, name string, fill func(dir string) error) (err error) {
	dir, err := partialFolder(parent, name, fill)
	if err != nil {
		return err
	}
	if err := Rename(dir, filepath.Join(parent, name)); err != nil {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return Sync(parent)
}

// partialFolder fills a folder with a hidden name and flushes it to the disk.
func partialFolder(parent, name string, fill func(dir string) error) (_ string, err error) {
	if err := MkdirAll(parent); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, PartialPrefix+name+"-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // MkdirTemp's are private
		return "", err
	}
	if err := fill(dir); err != nil {
		return "", err
	}
	return dir, syncTree(dir)
}

// ReplaceFiles fills a folder with files and moves them into dir, those named
// last at the end. Each file is replaced at once; other files of dir stay.
func ReplaceFiles(dir string, fill func(dir string) error, last ...string) error {
	from, err := partialFolder(dir, "files", fill)
	if err != nil {
		return err
	}
	names, err := fileNames(from, last)
	for _, name := range names {
		if err == nil {
			err = Rename(filepath.Join(from, name), filepath.Join(dir, name))
		}
	}
	if err = errors.Join(err, os.RemoveAll(from)); err != nil {
		return err
	}
	return Sync(dir)
}

// fileNames lists a folder, with the names in last at the end.
func fileNames(dir string, last []string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	late := make(map[string]bool, len(last))
	for _, name := range last {
		late[name] = true
	}
	var names []string
	for _, pass := range []bool{false, true} {
		for _, e := range entries {
			if late[e.Name()] == pass {
				names = append(names, e.Name())
			}
		}
	}
	return names, nil
}

// RemoveFolder takes a folder away at once: renamed first, so that nobody sees
// half of it.
func RemoveFolder(path string) error {
	hidden := filepath.Join(filepath.Dir(path), RemovedPrefix+filepath.Base(path))
	if err := os.RemoveAll(hidden); err != nil {
		return err
	}
	if err := Rename(path, hidden); err != nil {
		return err
	}
	return os.RemoveAll(hidden)
}

// Sweep removes what killed runs left unfinished in a folder.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), PartialPrefix) || strings.HasPrefix(e.Name(), RemovedPrefix) {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("removing what an earlier run left unfinished: %w", err)
			}
		}
	}
	return nil
}

// syncTree flushes a folder and all that is in it to the disk.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return Sync(path)
	})
}
