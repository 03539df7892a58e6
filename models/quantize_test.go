package models

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causerie/models/hf"
	"causerie/models/kernels"
)

// The bundled model goes through every stored type, with all that belongs to it.
func TestQuantize(t *testing.T) {
	root := t.TempDir()
	for _, step := range []struct {
		in, out string
		to      string
		serves  kernels.DType
	}{
		{Default, "bf16", "BF16", kernels.BFloat16},
		{Default, "int8", "I8", kernels.Int8},
		{"int8", "deep/er/again", "I8", kernels.Int8},
		{"int8", "f32", "F32", kernels.Float32},
	} {
		in, out := step.in, filepath.Join(root, step.out)
		if in != Default {
			in = filepath.Join(root, in)
		}
		s, err := Quantize(t.Context(), in, out, map[string]hf.DType{"BF16": hf.BF16, "I8": hf.I8, "F32": hf.F32}[step.to])
		if err != nil {
			t.Fatal(err)
		}
		b, err := Open(t.Context(), out, Options{Frozen: true})
		if err != nil {
			t.Fatal(err)
		}
		if b.Net.DType() != step.serves || string(s.To) != step.to || b.Tokenizer == nil || len(b.Generation.EOS) == 0 {
			t.Errorf("%s: %+v, %+v, served as %v", step.out, s, b.Generation, b.Net.DType())
		}
		params := int64(b.Net.ParamCount())
		if size := s.ToBytes / params; size != map[string]int64{"BF16": 2, "I8": 1, "F32": 4}[step.to] {
			t.Errorf("%s: %d bytes for %d parameters", step.out, s.ToBytes, params)
		}
		sameCopies(t, out)
	}
	hidden, err := filepath.Glob(filepath.Join(root, ".partial-*"))
	if err != nil || len(hidden) > 0 {
		t.Errorf("left behind: %v, %v", hidden, err)
	}
}

// sameCopies checks that what goes along with the bundled model is there.
func sameCopies(t *testing.T, dir string) {
	t.Helper()
	fsys, err := Bundled()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json", "README.md"} {
		want, err := fs.ReadFile(fsys, file)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestQuantizeRefuses(t *testing.T) {
	taken := t.TempDir()
	if err := os.WriteFile(filepath.Join(taken, "notes.txt"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	damaged := writeFolder(t, 20, nil)
	if err := os.Truncate(filepath.Join(damaged, "model.safetensors"), 900); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		name, in, out string
		ctx           context.Context
		want          string
	}{
		{"taken", Default, taken, t.Context(), "there is something in that folder already"},
		{"a file", Default, filepath.Join(taken, "notes.txt"), t.Context(), "not a directory"},
		{"no model", filepath.Join(root, "none"), filepath.Join(root, "a"), t.Context(), "no model"},
		{"damaged", damaged, filepath.Join(root, "b"), t.Context(), "truncated"},
		{"interrupted", Default, filepath.Join(root, "c"), ended, context.Canceled.Error()},
	} {
		if _, err := Quantize(c.ctx, c.in, c.out, hf.I8); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(taken, "notes.txt")); errors.Is(err, fs.ErrNotExist) {
		t.Error("somebody's file is gone")
	}
}

// An empty folder, made by hand, is as good as none.
func TestQuantizeIntoEmptyFolder(t *testing.T) {
	out := t.TempDir()
	if _, err := Quantize(t.Context(), writeFolder(t, 20, nil), out, hf.I8); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), out, Options{Frozen: true}); err != nil {
		t.Error(err)
	}
}
