package models

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"causerie/models/hf"
	"causerie/models/hf/safetensors"
	"causerie/models/tokenizer"
)

// Stored says what Quantize read and wrote.
type Stored struct {
	From, To           safetensors.DType
	FromBytes, ToBytes int64 // of the weights' files
}

// Quantize writes the model of that name (see Open) as the new folder out with
// its weights in another dtype: I8 makes a folder of int8 weights for causerie,
// the others one that transformers reads as well. The tokenizer's files, the
// model card and licences are copied. The folder appears complete or not at
// all; an existing one must be empty.
func Quantize(ctx context.Context, name, out string, dtype safetensors.DType) (s Stored, err error) {
	fsys, name, err := find(name)
	if err != nil {
		return s, err
	}
	if err := checkFree(out); err != nil {
		return s, err
	}
	folder, err := hf.Open(fsys, name)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	s = Stored{From: folder.DType(), To: dtype, FromBytes: folder.Bytes()}
	err = newFolder(out, func(dir string) error {
		if err := folder.Store(ctx, dir, dtype); err != nil {
			return err
		}
		return copyFiles(dir, fsys, name)
	})
	if err != nil {
		return s, err
	}
	written, err := hf.OpenDir(out)
	if err != nil {
		return s, err
	}
	s.ToBytes = written.Bytes()
	return s, written.Close()
}

// checkFree refuses to write where something is already.
func checkFree(out string) error {
	entries, err := os.ReadDir(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s: there is something in that folder already; name a new one", out)
	}
	return nil
}

// newFolder makes a folder all at once: fill writes into a hidden one beside
// it, which is then renamed.
func newFolder(out string, fill func(dir string) error) (err error) {
	out, err = filepath.Abs(out)
	if err != nil {
		return err
	}
	parent, base := filepath.Split(out)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, ".partial-"+base+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if err := os.Chmod(dir, 0o755); err != nil { // MkdirTemp's are private
		return err
	}
	if err := fill(dir); err != nil {
		return err
	}
	// An empty folder makes place; one that is not stays, and is an error.
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(dir, out); err != nil {
		return err
	}
	return hf.SyncDir(parent)
}

// maxCopied is more than any tokenizer's file or model card takes.
const maxCopied = 256 << 20

// copyFiles copies what goes along with the weights.
func copyFiles(dir string, fsys fs.FS, name string) error {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	wanted := make(map[string]bool)
	for _, file := range tokenizer.FileNames() {
		wanted[file] = true
	}
	for _, e := range entries {
		stem, _, _ := strings.Cut(strings.ToUpper(e.Name()), ".")
		if !wanted[e.Name()] && stem != "README" && stem != "LICENSE" && stem != "LICENCE" && stem != "NOTICE" {
			continue
		}
		if err := copyFile(dir, fsys, e.Name()); err != nil {
			return fmt.Errorf("%s/%s: %w", name, e.Name(), err)
		}
	}
	return nil
}

func copyFile(dir string, fsys fs.FS, file string) (err error) {
	from, err := fsys.Open(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	info, err := from.Stat()
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return nil
	case info.Size() > maxCopied:
		return fmt.Errorf("%d bytes are too many for such a file", info.Size())
	}
	return hf.WriteFile(dir, file, func(w io.Writer) error {
		_, err := io.Copy(w, from)
		return err
	})
}
