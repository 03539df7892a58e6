package hf

import (
	"errors"
	"os"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// Reading a folder of GPT-2's smallest size (124 million parameters; a tenth
// of it unless CAUSERIE_LONG is set) into a model, for training and for
// serving, and writing it. The figure is bytes of the file per second.
func BenchmarkFolder(b *testing.B) {
	c := gpt2.Config{VocabSize: 16384, Positions: 512, Width: 256, Heads: 4, Layers: 8}
	if os.Getenv("CAUSERIE_LONG") != "" {
		c = gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}
	}
	m, err := gpt2.New(c)
	if err != nil {
		b.Fatal(err)
	}
	m.Init(1)
	first := b.TempDir()
	if err := Save(first, Config{Model: c}, Generation{}, m.Params(), F32); err != nil {
		b.Fatal(err)
	}
	for _, dtype := range []safetensors.DType{F32, F16, BF16, I8} {
		dir := b.TempDir()
		run := func(what string, f func() error) {
			b.Run(what+"/"+string(dtype), func(b *testing.B) {
				b.SetBytes(int64(m.ParamCount() * dtype.Size()))
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		if dtype != I8 {
			run("Save", func() error { return Save(dir, Config{Model: c}, Generation{}, m.Params(), dtype) })
		}
		run("Store", func() error {
			return withFolder(first, func(f *Folder) error { return f.Store(b.Context(), dir, dtype) })
		})
		run("Load", func() error {
			return withFolder(dir, func(f *Folder) error { return f.LoadInto(m.Params()) })
		})
		for _, serving := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
			run("Serve-"+serving.String(), func() error {
				return withFolder(dir, func(f *Folder) error {
					frozen, err := gpt2.NewFrozen(c, serving)
					if err != nil {
						return err
					}
					return f.LoadInto(frozen.Params())
				})
			})
		}
	}
}

func withFolder(dir string, do func(*Folder) error) error {
	f, err := OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(do(f), f.Close())
}
