package lora

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"causerie/internal/durable"
	"causerie/models/hf/safetensors"
)

// Save writes the adapter as a folder that PEFT loads. The folder is made when
// it is not there; other files in it stay. Each of the two files appears whole
// or not at all, the configuration last.
func (a *Adapter) Save(dir string) error {
	config, err := a.Config.Marshal()
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, configFile), err)
	}
	var weights bytes.Buffer
	if err := safetensors.Write(&weights, map[string]string{"format": "pt"}, a.sources()); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, weightsFile), err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	if err := writeFile(dir, weightsFile, weights.Bytes()); err != nil {
		return err
	}
	return writeFile(dir, configFile, config)
}

// sources are the factors as files have them.
func (a *Adapter) sources() []safetensors.Source {
	var list []safetensors.Source
	for _, p := range a.params {
		values := func() []float32 { return p.Data }
		if p.Conv1D {
			values = func() []float32 {
				out := make([]float32, len(p.Data))
				transpose(out, p.Data, p.Shape[0], p.Shape[1])
				return out
			}
		}
		list = append(list, safetensors.Source{Name: storedName(p), DType: safetensors.F32, Shape: storedShape(p), Values: values})
	}
	return list
}

// writeFile makes a file appear complete or not at all: it is written under
// another name, flushed to the disk and renamed.
func writeFile(dir, name string, data []byte) (err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	_, err = durable.Writer(f).Write(data)
	if err == nil {
		err = f.Chmod(0o644)
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
	return nil
}
