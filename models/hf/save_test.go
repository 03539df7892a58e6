package hf

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/float16"
	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// Folder -> model -> folder -> model, in every dtype: the weights are those of
// the first model, rounded to the dtype; what was stored in it comes back bit
// for bit.
func TestSaveThenOpen(t *testing.T) {
	round := map[safetensors.DType]func(float32) float32{
		F32:  func(v float32) float32 { return v },
		F16:  func(v float32) float32 { return float16.FromBits(float16.Bits(v)) },
		BF16: func(v float32) float32 { return float16.BFloatFromBits(float16.BFloatBits(v)) },
	}
	for _, name := range goldens {
		for dtype, rounded := range round {
			t.Run(name+"/"+string(dtype), func(t *testing.T) {
				old := openGolden(t, name)
				params := load(t, old).Params()
				dir := filepath.Join(t.TempDir(), "a", "new")
				if err := Save(dir, old.Config, old.Generation, params, dtype); err != nil {
					t.Fatal(err)
				}
				f, err := OpenDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				for i, p := range load(t, f).Params() {
					for j, v := range p.Data {
						if want := rounded(params[i].Data[j]); math.Float32bits(v) != math.Float32bits(want) {
							t.Fatalf("%s, value %d: got %g, want %g", p.Name, j, v, want)
						}
					}
				}
				if f.Config.Model != old.Config.Model || !slices.Equal(f.Config.EOS, old.Config.EOS) {
					t.Errorf("got %+v, want %+v", f.Config, old.Config)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The file looks as transformers writes it: its names, Conv1D's shapes, its
// metadata, no second copy of a tied head, and how the weights are stored.
func TestSaveAsTransformers(t *testing.T) {
	f := openGolden(t, "tied")
	dir := t.TempDir()
	if err := Save(dir, f.Config, f.Generation, load(t, f).Params(), F32); err != nil {
		t.Fatal(err)
	}
	g, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	key := func(ts []*safetensors.Tensor) []string {
		var keys []string
		for _, t := range ts {
			text, _ := json.Marshal([]any{t.Name, t.DType, t.Shape})
			keys = append(keys, string(text))
		}
		slices.Sort(keys)
		return keys
	}
	if got, want := key(g.Tensors()), key(f.Tensors()); !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := g.Tensors()[0].File().Metadata()["format"]; got != "pt" {
		t.Errorf("the format is %q", got)
	}
	text, err := os.ReadFile(filepath.Join(dir, configFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"torch_dtype": "float32"`, `"n_inner": null`, `"architectures": [`, `"model_type": "gpt2"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s was left behind", e.Name())
		}
	}
}

func TestSaveErrors(t *testing.T) {
	f := openGolden(t, "untied")
	params := load(t, f).Params()
	spoiled := func(spoil func(p []gpt2.Param) []gpt2.Param) []gpt2.Param {
		p := slices.Clone(params)
		for i := range p {
			p[i].Data = slices.Clone(p[i].Data)
		}
		return spoil(p)
	}
	for _, test := range []struct {
		name   string
		params []gpt2.Param
		want   string
	}{
		{"missing", params[:len(params)-1], "parameter lm_head.weight is missing"},
		{"extra", spoiled(func(p []gpt2.Param) []gpt2.Param {
			return append(p, gpt2.Param{Name: "x", Shape: []int{1}, Data: []float32{1}})
		}), "parameter x has no place"},
		{"shape", spoiled(func(p []gpt2.Param) []gpt2.Param { p[0].Shape = []int{32, 67}; return p }), "parameter wte.weight has shape [32 67]"},
		{"frozen", spoiled(func(p []gpt2.Param) []gpt2.Param { p[0].Data = nil; return p }), "parameter wte.weight of shape [67 32] has 0 values"},
		{"diverged", spoiled(func(p []gpt2.Param) []gpt2.Param { p[1].Data[7] = float32(math.NaN()); return p }), "parameter wpe.weight: value 7 is NaN"},
		{"too large for F16", spoiled(func(p []gpt2.Param) []gpt2.Param { p[1].Data[5] = -1e6; return p }), "model.safetensors: tensor transformer.wpe.weight: the value -1e+06 is beyond the range of F16"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			err := Save(dir, f.Config, f.Generation, test.params, F16)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 0 {
				t.Errorf("left behind: %v, %v", entries, err)
			}
		})
	}
}

// A write that fails leaves the old file and nothing else.
func TestWriteFileIsAtomic(t *testing.T) {
	dir := t.TempDir()
	if err := writeBytes(dir, "a", []byte("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("disk full")
	err := WriteFile(dir, "a", func(w io.Writer) error {
		if _, err := w.Write([]byte("half of the n")); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
	got, err := os.ReadFile(filepath.Join(dir, "a"))
	if err != nil || string(got) != "old" {
		t.Errorf("the file is %q, %v", got, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	if err := writeBytes(dir, "a", []byte("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || string(got) != "new" {
		t.Errorf("the file is %q, %v", got, err)
	}
}

// The settings can be written and read without weights.
func TestWriteSettings(t *testing.T) {
	dir := t.TempDir()
	old := openGolden(t, "untied")
	g := Generation{EOS: []int32{1, 2}, Temperature: new(0.7), TopK: new(8)}
	if err := errors.Join(WriteConfig(dir, old.Config), WriteGeneration(dir, g)); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(os.DirFS(dir), "folder")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(old.Config, c); diff != "" {
		t.Error(diff)
	}
	again, err := ReadGeneration(os.DirFS(dir), "folder")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g, again); diff != "" {
		t.Error(diff)
	}
	if err := WriteConfig(dir, Config{}); err == nil || !strings.Contains(err.Error(), "config.json: vocab_size must be positive") {
		t.Errorf("an empty configuration: got %v", err)
	}
	if err := WriteConfig(filepath.Join(dir, "none"), old.Config); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: got %v", err)
	}
}
