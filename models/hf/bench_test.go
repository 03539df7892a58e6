package hf

import (
	"errors"
	"os"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// Reading a folder of GPT-2's smallest size (124 million parameters; a tenth
// of it unless CAUSERIE_LONG is set) into a model, and writing it. The figure
// is bytes of the file per second.
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
	for _, dtype := range []safetensors.DType{F32, F16, BF16} {
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
		run("Save", func() error { return Save(dir, Config{Model: c}, Generation{}, m.Params(), dtype) })
		run("Load", func() error {
			f, err := OpenDir(dir)
			if err != nil {
				return err
			}
			return errors.Join(f.LoadInto(m.Params()), f.Close())
		})
	}
}
