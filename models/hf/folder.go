package hf

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"causerie/models/hf/safetensors"
)

const weightsFile = "model.safetensors"

// Folder is an opened GPT-2 folder: settings read, weights checked but not yet
// loaded. Close it when they are.
type Folder struct {
	Name       string // what errors call it
	Config     Config
	Generation Generation // from config.json where generation_config.json is absent

	weights string // the file that lists the tensors, for errors
	order   []*safetensors.Tensor
	tensors map[string]*safetensors.Tensor // by parameter name, masks left out
	files   []io.Closer
}

// OpenDir opens a folder on disk.
func OpenDir(dir string) (*Folder, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", dir, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("%s: a model is a folder, this is a file", dir)
	}
	return Open(os.DirFS(dir), filepath.ToSlash(dir))
}

// Open opens a folder in any file system, say an embedded one; fsys is the
// folder itself (see fs.Sub) and name what errors call it. Files that implement
// io.ReaderAt, as those of the operating system and of package embed do, are
// read in place; others are read into memory.
func Open(fsys fs.FS, name string) (*Folder, error) {
	f := &Folder{Name: name, tensors: make(map[string]*safetensors.Tensor)}
	if err := f.open(fsys); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (f *Folder) open(fsys fs.FS) error {
	var err error
	if f.Config, err = ReadConfig(fsys, f.Name); err != nil {
		return err
	}
	f.Generation, err = ReadGeneration(fsys, f.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Generation = Generation{BOS: f.Config.BOS, PAD: f.Config.PAD, EOS: slices.Clone(f.Config.EOS)}
	case err != nil:
		return err
	}
	g := &f.Generation
	g.BOS, g.PAD, g.EOS = f.Config.known(g.BOS), f.Config.known(g.PAD), f.Config.knownOnly(g.EOS)
	if err := f.openWeights(fsys); err != nil {
		return err
	}
	_, err = f.match(layout(f.Config.Model))
	return err
}

// Close releases the files. The settings remain readable.
func (f *Folder) Close() error {
	var errs []error
	for _, c := range f.files {
		errs = append(errs, c.Close())
	}
	f.files = nil
	return errors.Join(errs...)
}

// Tensors lists the stored tensors, masks included, in the order of the files.
func (f *Folder) Tensors() []*safetensors.Tensor { return f.order }

// DType is what most of the weights are stored in: that of the token embedding.
func (f *Folder) DType() safetensors.DType {
	for _, name := range []string{embedding, head} {
		if t := f.tensors[name]; t != nil {
			return t.DType
		}
	}
	return F32
}

// Bytes is what the stored tensors take, headers left out.
func (f *Folder) Bytes() int64 {
	var n int64
	for _, t := range f.order {
		n += t.Bytes()
	}
	return n
}

// openWeights finds the weights as transformers does: one file, else shards.
func (f *Folder) openWeights(fsys fs.FS) error {
	f.weights = path.Join(f.Name, weightsFile)
	file, err := f.openFile(fsys, weightsFile)
	switch {
	case err == nil:
		return f.add(file.Tensors())
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f.weights = path.Join(f.Name, indexFile)
	if err := f.openShards(fsys); !errors.Is(err, errNoIndex) {
		return err
	}
	return f.noWeights(fsys)
}

// noWeights says what to do about a folder without safetensors.
func (f *Folder) noWeights(fsys fs.FS) error {
	for _, old := range []string{pickleFile, pickleFile + ".index.json"} {
		if _, err := fs.Stat(fsys, old); err == nil {
			return fmt.Errorf("%s: only %s is there, a Python pickle, which is not read; convert it once with\n"+
				"  python3 -c \"from transformers import AutoModelForCausalLM as M; M.from_pretrained('%[1]s').save_pretrained('%[1]s')\"",
				f.Name, old)
		}
	}
	return fmt.Errorf("%s: no weights: neither %s nor %s is there: %w", f.Name, weightsFile, indexFile, fs.ErrNotExist)
}

// openFile opens one safetensors file and checks its header.
func (f *Folder) openFile(fsys fs.FS, file string) (*safetensors.File, error) {
	name := path.Join(f.Name, file)
	opened, err := fsys.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	f.files = append(f.files, opened)
	info, err := opened.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	case info.IsDir():
		return nil, fmt.Errorf("%s: is a folder, not a file", name)
	}
	if r, ok := opened.(io.ReaderAt); ok {
		return safetensors.New(r, info.Size(), name)
	}
	data, err := io.ReadAll(opened)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	return safetensors.New(bytes.NewReader(data), int64(len(data)), name)
}

// add makes tensors known by the names of their parameters.
func (f *Folder) add(tensors []*safetensors.Tensor) error {
	for _, t := range tensors {
		f.order = append(f.order, t)
		name, skip := canonical(t.Name)
		if skip {
			continue
		}
		if other, ok := f.tensors[name]; ok {
			return fmt.Errorf("%s: tensor %s is the same as %s of %s", t.File().Name(), t.Name, other.Name, other.File().Name())
		}
		f.tensors[name] = t
	}
	return nil
}
