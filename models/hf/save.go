package hf

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"causerie/internal/durable"
	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// DType is how a file stores the values of a tensor.
type DType = safetensors.DType

// The types in which Save stores weights.
const (
	F32  = safetensors.F32
	F16  = safetensors.F16
	BF16 = safetensors.BF16
	I8   = safetensors.I8 // Store's only
)

// Save writes a model as a folder that transformers loads: config.json,
// generation_config.json and model.safetensors, the weights rounded to the
// dtype. Weights that are infinite or NaN are an error, as they are to LoadInto.
// The folder is made when it is not there; other files in it, such as
// the tokenizer's, stay. Each file is replaced atomically, the weights first;
// whoever must never see new weights beside an old config.json writes to a
// fresh folder and renames that.
func Save(dir string, c Config, g Generation, params []gpt2.Param, dtype safetensors.DType) error {
	sources, err := sourcesOf(c.Model, params, dtype)
	if err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	err = WriteFile(dir, weightsFile, func(w io.Writer) error {
		return safetensors.Write(w, map[string]string{"format": "pt"}, sources)
	})
	if err != nil {
		return err
	}
	if err := writeConfig(dir, c, dtype); err != nil {
		return err
	}
	return WriteGeneration(dir, g)
}

// WriteConfig writes config.json alone, atomically.
func WriteConfig(dir string, c Config) error { return writeConfig(dir, c, "") }

// writeConfig also says, unless empty, how the weights are stored.
func writeConfig(dir string, c Config, dtype safetensors.DType) error {
	name, known := map[safetensors.DType]string{F32: "float32", F16: "float16", BF16: "bfloat16", I8: "int8"}[dtype]
	if known {
		c.Int8 = dtype == I8
		rest := maps.Clone(c.Rest)
		if rest == nil {
			rest = make(map[string]json.RawMessage)
		}
		// Newer releases say "dtype"; all of them read this name.
		rest["torch_dtype"] = json.RawMessage(`"` + name + `"`)
		c.Rest = rest
	}
	text, err := c.Marshal()
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
	}
	return writeBytes(dir, configFile, text)
}

// WriteGeneration writes generation_config.json alone, atomically.
func WriteGeneration(dir string, g Generation) error {
	text, err := g.Marshal()
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, generationFile), err)
	}
	return writeBytes(dir, generationFile, text)
}

// sourcesOf lists what to write, in the order of the model, having checked
// that it is all that a model of this shape has.
func sourcesOf(c gpt2.Config, params []gpt2.Param, dtype safetensors.DType) ([]safetensors.Source, error) {
	if err := checkParams(params); err != nil {
		return nil, err
	}
	byName := make(map[string]gpt2.Param, len(params))
	for _, p := range params {
		byName[p.Name] = p
	}
	var sources []safetensors.Source
	var scratch []float32 // one tensor's turn comes after another's
	for s := range layout(c) {
		p, ok := byName[s.name]
		switch {
		case !ok:
			return nil, fmt.Errorf("parameter %s is missing, of shape %d in the file", s.name, s.shape)
		case !slices.Equal(fileShape(p), s.shape):
			return nil, fmt.Errorf("parameter %s has shape %d in the file, the configuration says %d", s.name, fileShape(p), s.shape)
		}
		if i := notFinite(p.Data); i >= 0 {
			return nil, fmt.Errorf("parameter %s: value %d is %g: its training diverged", s.name, i, p.Data[i])
		}
		delete(byName, s.name)
		values := func() []float32 { return p.Data }
		if p.Conv1D {
			values = func() []float32 {
				out, in := p.Shape[0], p.Shape[1]
				transposed := grow(&scratch, len(p.Data))
				transpose(transposed, out, p.Data, out, in)
				return transposed
			}
		}
		sources = append(sources, safetensors.Source{Name: storedName(s.name), DType: dtype, Shape: s.shape, Values: values})
	}
	for name := range byName {
		return nil, fmt.Errorf("parameter %s has no place in a model of this configuration", name)
	}
	return sources, nil
}

func writeBytes(dir, name string, data []byte) error {
	return WriteFile(dir, name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteFile makes a file appear complete or not at all, even when the power
// fails: what write gives goes to another name first, is flushed to the disk
// and renamed, and the folder's new entry is flushed as well.
func WriteFile(dir, name string, write func(io.Writer) error) error {
	f, err := createTemp(dir, name)
	if err != nil {
		return err
	}
	b := bufio.NewWriterSize(durable.Writer(f), 1<<16)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = durable.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Join(dir, name), errors.Join(err, os.Remove(f.Name())))
	}
	return SyncDir(dir)
}

// createTemp is os.CreateTemp with the permissions of an ordinary file.
func createTemp(dir, name string) (*os.File, error) {
	for {
		temp := filepath.Join(dir, fmt.Sprintf(".%s.%08x", name, rand.Uint32()))
		f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if !errors.Is(err, os.ErrExist) {
			return f, err
		}
	}
}

// SyncDir flushes a folder's list of files to the disk.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such thing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
