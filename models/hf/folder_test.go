package hf

import (
	"bytes"
	"embed"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"causerie/models/float16"
	"causerie/models/gpt2"
)

// goldens are the folders that transformers wrote (testdata/README.md).
var goldens = []string{"tied", "untied", "f16", "bf16", "sharded", "bare", "legacy"}

func openGolden(t *testing.T, name string) *Folder {
	t.Helper()
	f, err := OpenDir(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// load makes the model of a folder.
func load(t *testing.T, f *Folder) *gpt2.Model {
	t.Helper()
	m, err := gpt2.New(f.Config.Model)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.LoadInto(m.Params()); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLayoutIsTheModels(t *testing.T) {
	for _, c := range []gpt2.Config{
		{VocabSize: 11, Positions: 7, Width: 6, Heads: 2, Layers: 3},
		{VocabSize: 11, Positions: 7, Width: 6, Heads: 3, Layers: 1, Inner: 5, Untied: true},
	} {
		m, err := gpt2.New(c)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Collect(specsOf(m.Params()))
		got := slices.Collect(layout(c))
		if !slices.EqualFunc(got, want, func(a, b spec) bool { return a.name == b.name && slices.Equal(a.shape, b.shape) }) {
			t.Errorf("got %v\nwant %v", got, want)
		}
	}
}

// Every value of every golden folder arrives where it belongs: compared with a
// second, plain way of reading the files.
func TestLoadInto(t *testing.T) {
	for _, name := range goldens {
		t.Run(name, func(t *testing.T) {
			m := load(t, openGolden(t, name))
			files, err := filepath.Glob(filepath.Join("testdata", name, "model*.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			stored := make(map[string]plainTensor)
			for _, file := range files {
				maps.Copy(stored, readPlainly(t, file))
			}
			for _, p := range m.Params() {
				s, ok := stored["transformer."+p.Name]
				if !ok {
					s, ok = stored[p.Name]
				}
				if !ok {
					t.Fatalf("no tensor for %s", p.Name)
				}
				for i, got := range p.Data {
					j := i
					if p.Conv1D {
						in, out := p.Shape[1], p.Shape[0]
						j = i%in*out + i/in
					}
					if want := s.value(j); got != want {
						t.Fatalf("%s: value %d is %g, want %g", p.Name, i, got, want)
					}
				}
			}
		})
	}
}

type plainTensor struct {
	DType   string `json:"dtype"`
	Offsets [2]int `json:"data_offsets"`
	data    []byte
}

func (p plainTensor) value(i int) float32 {
	switch p.DType {
	case "F16":
		h := binary.LittleEndian.Uint16(p.data[2*i:])
		return float16.FromBits(h) // tested there against the definition
	case "BF16":
		return math.Float32frombits(uint32(binary.LittleEndian.Uint16(p.data[2*i:])) << 16)
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(p.data[4*i:]))
}

func readPlainly(t *testing.T, file string) map[string]plainTensor {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 8 + binary.LittleEndian.Uint64(data)
	var header map[string]plainTensor
	if err := json.Unmarshal(data[8:n], &header); err != nil {
		t.Fatal(err)
	}
	for name, p := range header {
		p.data = data[n:][p.Offsets[0]:p.Offsets[1]]
		header[name] = p
	}
	return header
}

// An fs.FS whose files cannot be read at an offset, as those of an archive.
type streamFS struct{ fs.FS }

type streamFile struct{ fs.File }

func (s streamFS) Open(name string) (fs.File, error) {
	f, err := s.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return streamFile{f}, nil
}

func TestOpenFromAnyFileSystem(t *testing.T) {
	want := load(t, openGolden(t, "sharded"))
	f, err := Open(streamFS{os.DirFS("testdata/sharded")}, "stream")
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, f)
	for i, p := range want.Params() {
		if !slices.Equal(p.Data, got.Params()[i].Data) {
			t.Errorf("%s differs", p.Name)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	f := openGolden(t, "untied")
	c := f.Config.Model
	if want := (gpt2.Config{VocabSize: 67, Positions: 32, Width: 32, Heads: 4, Layers: 2, Inner: 72, Eps: 1e-3, Untied: true}); c != want {
		t.Errorf("got %+v, want %+v", c, want)
	}
	if g := f.Generation; len(g.EOS) != 1 || g.EOS[0] != 0 || g.BOS == nil || *g.BOS != 0 || g.PAD != nil {
		t.Errorf("got %+v", g)
	}
	// Without generation_config.json, and with ids that the vocabulary lacks.
	f = openGolden(t, "legacy")
	if g := f.Generation; len(g.EOS) != 0 || g.BOS != nil {
		t.Errorf("got %+v", g)
	}
}

//go:embed testdata/f16
var embedded embed.FS

func TestOpenEmbedded(t *testing.T) {
	want := load(t, openGolden(t, "f16"))
	sub, err := fs.Sub(embedded, "testdata/f16")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(sub, "bundled")
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, f)
	for i, p := range want.Params() {
		if !slices.Equal(p.Data, got.Params()[i].Data) {
			t.Errorf("%s differs", p.Name)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// memory is a golden folder as a file system that tests can spoil.
func memory(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	m := fstest.MapFS{}
	files, err := filepath.Glob(filepath.Join("testdata", name, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(file)] = &fstest.MapFile{Data: data}
	}
	return m
}

// change replaces text of a JSON file, or of the header of a weights file.
func change(t *testing.T, m fstest.MapFS, file, old, new string) {
	t.Helper()
	data := m[file].Data
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not contain %s", file, old)
	}
	if strings.HasSuffix(file, ".safetensors") {
		length := binary.LittleEndian.Uint64(data) + uint64(len(new)-len(old))
		binary.LittleEndian.PutUint64(data, length)
	}
	m[file].Data = bytes.Replace(data, []byte(old), []byte(new), 1)
}

func TestBrokenFolders(t *testing.T) {
	const weights = "model.safetensors"
	for _, test := range []struct {
		name, golden string
		spoil        func(t *testing.T, m fstest.MapFS)
		want         []string
	}{
		{"no config", "tied", func(_ *testing.T, m fstest.MapFS) { delete(m, configFile) },
			[]string{"folder/config.json: file does not exist"}},
		{"wrong type", "tied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"n_embd": 32`, `"n_embd": "32"`)
			change(t, m, configFile, `"n_head": 2`, `"n_head": -2`)
		}, []string{`folder/config.json: n_embd: want a whole number, not "32"`, "folder/config.json: n_head: want at least 1, not -2"}},
		{"wrong generation type", "tied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, generationFile, `"eos_token_id": 0`, `"eos_token_id": "0"`)
		}, []string{`folder/generation_config.json: eos_token_id: want a token id, not "0"`}},
		{"no weights", "tied", func(_ *testing.T, m fstest.MapFS) { delete(m, weights) },
			[]string{"folder: no weights: neither model.safetensors nor model.safetensors.index.json"}},
		{"pickle only", "tied", func(_ *testing.T, m fstest.MapFS) {
			delete(m, weights)
			m["pytorch_model.bin"] = &fstest.MapFile{Data: []byte("PK")}
		}, []string{"only pytorch_model.bin is there", "python3 -c", "from_pretrained('folder').save_pretrained('folder')"}},
		{"truncated", "tied", func(_ *testing.T, m fstest.MapFS) { m[weights].Data = m[weights].Data[:100_000] },
			[]string{"folder/model.safetensors: truncated: its tensors need 116392 bytes, the file has 100000"}},
		{"truncated header", "tied", func(_ *testing.T, m fstest.MapFS) { m[weights].Data = m[weights].Data[:50] },
			[]string{"folder/model.safetensors: truncated: the header needs 2600 bytes, the file has 50"}},
		{"missing and extra", "tied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, "transformer.h.1.ln_2.bias", "transformer.h.1.ln_2.beta")
		}, []string{
			"folder/model.safetensors: tensor transformer.h.1.ln_2.bias is missing, of shape [32]",
			"folder/model.safetensors: tensor transformer.h.1.ln_2.beta of shape [32] has no place in the model",
		}},
		{"shape", "tied", func(t *testing.T, m fstest.MapFS) { change(t, m, configFile, `"vocab_size": 61`, `"vocab_size": 62`) },
			[]string{"folder/model.safetensors: tensor transformer.wte.weight has shape [61 32], the model needs [62 32]"}},
		{"Conv1D shape", "untied", func(t *testing.T, m fstest.MapFS) { change(t, m, configFile, `"n_inner": 72`, `"n_inner": 73`) },
			[]string{"tensor transformer.h.0.mlp.c_fc.weight has shape [32 72], the model needs [32 73]"}},
		{"too many layers", "tied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"n_layer": 2`, `"n_layer": 16000000`)
		}, []string{"tensor transformer.h.2.ln_1.weight is missing", "\nand more"}},
		{"untied without head", "tied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"tie_word_embeddings": true`, `"tie_word_embeddings": false`)
		}, []string{"tensor lm_head.weight is missing, of shape [61 32]"}},
		{"tied head with its own values", "untied", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"tie_word_embeddings": false`, `"tie_word_embeddings": true`)
		}, []string{"folder/model.safetensors: tensor lm_head.weight differs from transformer.wte.weight in row 0", "set tie_word_embeddings to false in folder/config.json"}},
		{"both prefixes", "bare", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, `"h.0.attn.masked_bias"`, `"transformer.ln_f.bias"`)
		}, []string{"folder/model.safetensors: tensor ln_f.bias is the same as transformer.ln_f.bias of folder/model.safetensors"}},
		{"integer weights", "bare", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, `"ln_f.bias":{"dtype":"F32"`, `"ln_f.bias":{"dtype":"I32"`)
		}, []string{"folder/model.safetensors: tensor ln_f.bias: values of type I32 are not supported, only F32, F16 and BF16"}},
		{"NaN", "untied", func(_ *testing.T, m fstest.MapFS) {
			data := m[weights].Data
			binary.LittleEndian.PutUint32(data[len(data)-4:], 0x7fc00000)
		}, []string{"folder/model.safetensors: tensor transformer.wte.weight: value 2143 is NaN: the file is damaged"}},
		{"missing shard", "sharded", func(_ *testing.T, m fstest.MapFS) { delete(m, "model-00002-of-00003.safetensors") },
			[]string{"folder/model.safetensors.index.json names a file that cannot be read: folder/model-00002-of-00003.safetensors: file does not exist"}},
		{"truncated shard", "sharded", func(_ *testing.T, m fstest.MapFS) {
			f := m["model-00002-of-00003.safetensors"]
			f.Data = f.Data[:len(f.Data)-1]
		}, []string{"folder/model-00002-of-00003.safetensors: truncated: its tensors need 12672 bytes, the file has 12671"}},
		{"index names another shard", "sharded", func(t *testing.T, m fstest.MapFS) {
			change(t, m, indexFile, `"transformer.h.0.ln_1.bias": "model-00001`, `"transformer.h.0.ln_1.bias": "model-00002`)
		}, []string{"folder/model-00002-of-00003.safetensors: tensor transformer.h.0.ln_1.bias is not there, though folder/model.safetensors.index.json says so"}},
		{"shard with more", "sharded", func(t *testing.T, m fstest.MapFS) {
			change(t, m, indexFile, `"transformer.h.0.ln_1.bias": "model-00001-of-00003.safetensors",`, "")
		}, []string{"folder/model-00001-of-00003.safetensors: tensor transformer.h.0.ln_1.bias is not listed in folder/model.safetensors.index.json"}},
		{"shard elsewhere", "sharded", func(t *testing.T, m fstest.MapFS) {
			change(t, m, indexFile, `: "model-00001`, `: "../model-00001`)
		}, []string{`folder/model.safetensors.index.json: weight_map: transformer.h.0.attn.c_attn.bias: "../model-00001-of-00003.safetensors" is not the name`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := memory(t, test.golden)
			test.spoil(t, m)
			err := tryLoad(t, m)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got:  %v\nwant: %s", err, want)
				}
			}
			if n := strings.Count(err.Error(), "\n"); n > maxProblems+1 {
				t.Errorf("the error has %d lines", n)
			}
		})
	}
}

func tryLoad(t *testing.T, fsys fs.FS) error {
	f, err := Open(fsys, "folder")
	if err != nil {
		return err
	}
	m, err := gpt2.New(f.Config.Model)
	if err != nil {
		t.Fatal(err)
	}
	return errors.Join(f.LoadInto(m.Params()), f.Close())
}

// A pair of tied weights may be stored as the head alone.
func TestTiedHeadAlone(t *testing.T) {
	m := memory(t, "bare")
	change(t, m, weightsFile, `"wte.weight"`, `"lm_head.weight"`)
	f, err := Open(m, "folder")
	if err != nil {
		t.Fatal(err)
	}
	want := load(t, openGolden(t, "bare")).Params()
	for i, p := range load(t, f).Params() {
		if !slices.Equal(p.Data, want[i].Data) {
			t.Errorf("%s differs", p.Name)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	// An untied model needs both.
	change(t, m, configFile, `"tie_word_embeddings": true`, `"tie_word_embeddings": false`)
	if _, err := Open(m, "folder"); err == nil || !strings.Contains(err.Error(), "tensor transformer.wte.weight is missing") {
		t.Error(err)
	}
}

func TestOpenDirErrors(t *testing.T) {
	for _, test := range []struct{ dir, want string }{
		{"testdata/none", "testdata/none: no such file or directory"},
		{"testdata/README.md", "testdata/README.md: a model is a folder, this is a file"},
		{"testdata", "testdata/config.json: no such file or directory"},
	} {
		_, err := OpenDir(test.dir)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want an error with %q", test.dir, err, test.want)
		}
	}
	_, err := OpenDir("testdata/none")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

// Parameters of another model leave the folder's complaint, and stay as they were.
func TestLoadIntoOtherModel(t *testing.T) {
	f := openGolden(t, "tied")
	c := f.Config.Model
	c.Positions++
	m, err := gpt2.New(c)
	if err != nil {
		t.Fatal(err)
	}
	err = f.LoadInto(m.Params())
	if err == nil || !strings.Contains(err.Error(), "tensor transformer.wpe.weight has shape [32 32], the model needs [33 32]") {
		t.Error(err)
	}
	for _, p := range m.Params() {
		if slices.ContainsFunc(p.Data, func(v float32) bool { return v != 0 }) {
			t.Errorf("%s was changed", p.Name)
		}
	}
	params := slices.Clone(m.Params())
	params[0].Data = nil // as in a model laid out for serving
	if err := f.LoadInto(params); err == nil || !strings.Contains(err.Error(), "parameter wte.weight of shape [61 32] has 0 values") {
		t.Error(err)
	}
}
