package lora

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// Files of an adapter folder.
const (
	configFile  = "adapter_config.json"
	weightsFile = "adapter_model.safetensors"
)

// maxJSON is the most an adapter_config.json may hold; real ones are below 4 kB.
const maxJSON = 1 << 20

// IsAdapter reports whether a folder holds an adapter and not a whole model.
func IsAdapter(fsys fs.FS) bool {
	_, err := fs.Stat(fsys, configFile)
	_, modelErr := fs.Stat(fsys, "config.json")
	return err == nil && modelErr != nil
}

// ReadConfig reads adapter_config.json of a folder. The name of the folder is
// only used in errors.
func ReadConfig(fsys fs.FS, name string) (Config, error) {
	name = path.Join(name, configFile)
	f, err := fsys.Open(configFile)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, cause(err))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, cause(err))
	}
	if len(data) > maxJSON {
		return Config{}, fmt.Errorf("%s: larger than %d bytes, this is no such file", name, maxJSON)
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// OpenDir reads the adapter folder dir for a model of the given shape.
func OpenDir(dir string, model gpt2.Config) (*Adapter, error) {
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return nil, fmt.Errorf("adapter %s: %w", dir, cause(err))
	case !info.IsDir():
		return nil, fmt.Errorf("adapter %s: an adapter is a folder, this is a file", dir)
	}
	return Open(os.DirFS(dir), filepath.ToSlash(dir), model)
}

// Open reads the adapter in a folder of any file system for a model of the
// given shape. Which layers it changes, the tensors say; each must have both
// factors, with the rank that the configuration gives it.
func Open(fsys fs.FS, name string, model gpt2.Config) (_ *Adapter, err error) {
	c, err := ReadConfig(fsys, name)
	if err != nil {
		return nil, err
	}
	file, closer, err := openWeights(fsys, path.Join(name, weightsFile))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closer.Close()) }()
	byName, err := canonical(file, model)
	if err != nil {
		return nil, err
	}
	a, err := build(model, c, func(l gpt2.Layer) bool { return byName[l.Name+suffixA] != nil || byName[l.Name+suffixB] != nil })
	if err != nil {
		return nil, err
	}
	for _, p := range a.params {
		if err := read(file, byName[p.Name], p); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// openWeights opens the file of the factors.
func openWeights(fsys fs.FS, name string) (*safetensors.File, io.Closer, error) {
	f, err := fsys.Open(weightsFile)
	if err != nil {
		if _, old := fs.Stat(fsys, "adapter_model.bin"); old == nil {
			return nil, nil, fmt.Errorf("%s: only adapter_model.bin is there, a Python pickle, which is not read; let PEFT save the adapter again", name)
		}
		return nil, nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	file, err := newFile(f, name)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return file, f, nil
}

func newFile(f fs.File, name string) (*safetensors.File, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	if r, ok := f.(io.ReaderAt); ok {
		return safetensors.New(r, info.Size(), name)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, cause(err))
	}
	return safetensors.New(bytes.NewReader(data), int64(len(data)), name)
}

// filePrefix is what PEFT puts before the names of transformers.
const filePrefix = "base_model.model."

// canonical lists the tensors by the names of Params. One that has no place in
// a model of this shape is an error.
func canonical(file *safetensors.File, model gpt2.Config) (map[string]*safetensors.Tensor, error) {
	known := make(map[string]bool)
	for _, l := range model.AdaptableLayers() {
		known[l.Name+suffixA], known[l.Name+suffixB] = true, true
	}
	byName := make(map[string]*safetensors.Tensor)
	for _, t := range file.Tensors() {
		name := strings.TrimPrefix(strings.TrimPrefix(t.Name, filePrefix), modulePrefix)
		if !known[name] {
			return nil, fmt.Errorf("%s: tensor %s of shape %d has no place in a model of %d layers: only the factors of c_attn, attn.c_proj, c_fc and mlp.c_proj have",
				file.Name(), t.Name, t.Shape, model.Layers)
		}
		if byName[name] != nil {
			return nil, fmt.Errorf("%s: tensor %s is the same as %s", file.Name(), t.Name, byName[name].Name)
		}
		byName[name] = t
	}
	if len(byName) == 0 {
		return nil, fmt.Errorf("%s: no tensor in it", file.Name())
	}
	return byName, nil
}

// read fills a factor from its tensor.
func read(file *safetensors.File, t *safetensors.Tensor, p gpt2.Param) error {
	if t == nil {
		return fmt.Errorf("%s: tensor %s is missing", file.Name(), storedName(p))
	}
	if want := storedShape(p); !slices.Equal(t.Shape, want) {
		return fmt.Errorf("%s: tensor %s has shape %d, the configuration and the model need %d", file.Name(), t.Name, t.Shape, want)
	}
	if !p.Conv1D {
		if err := t.ReadFloats(p.Data, 0); err != nil {
			return err
		}
	} else {
		values := make([]float32, len(p.Data))
		if err := t.ReadFloats(values, 0); err != nil {
			return err
		}
		transpose(p.Data, values, p.Shape[1], p.Shape[0])
	}
	for i, v := range p.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return fmt.Errorf("%s: tensor %s: value %d is %g: the file is damaged, or its training diverged", file.Name(), t.Name, i, v)
		}
	}
	return nil
}

func storedName(p gpt2.Param) string { return filePrefix + modulePrefix + p.Name }

func storedShape(p gpt2.Param) []int {
	shape := slices.Clone(p.Shape)
	if p.Conv1D {
		slices.Reverse(shape)
	}
	return shape
}

// transpose writes src [rows, cols] as dst [cols, rows].
func transpose(dst, src []float32, rows, cols int) {
	for i := range rows {
		for j := range cols {
			dst[j*rows+i] = src[i*cols+j]
		}
	}
}

// cause is what went wrong, without the operation and path of a PathError.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
