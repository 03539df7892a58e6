package hf

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// store writes a folder anew, in another dtype.
func store(t *testing.T, f *Folder, dtype safetensors.DType) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "stored")
	if err := f.Store(t.Context(), dir, dtype); err != nil {
		t.Fatal(err)
	}
	return dir
}

func openTest(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := OpenDir(dir)
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

// What numpy quantized (testdata/int8.py) gives the answers that transformers
// computes from the dequantized weights in float64.
func TestInt8FolderOfNumpy(t *testing.T) {
	f := openGolden(t, "int8")
	if !f.Config.Int8 || f.DType() != I8 {
		t.Fatalf("config %+v, dtype %s", f.Config, f.DType())
	}
	golden := readAnswers(t, "int8")
	got := compute(t, load(t, f), golden)
	if d := difference(golden, got); d > 1e-4 {
		t.Errorf("logits differ by %.2g", d)
	}
	if !slices.Equal(got.Greedy.Tokens, golden.Greedy.Tokens) {
		t.Errorf("greedy %v, want %v", got.Greedy.Tokens, golden.Greedy.Tokens)
	}
}

// Store gives the integers and scales that numpy gives, bit for bit.
func TestStoreInt8AsNumpyDoes(t *testing.T) {
	want := openGolden(t, "int8")
	got := openTest(t, store(t, openGolden(t, "untied"), I8))
	if len(got.Tensors()) != len(want.Tensors()) {
		t.Fatalf("%d tensors, want %d", len(got.Tensors()), len(want.Tensors()))
	}
	for _, w := range want.Tensors() {
		name, _ := canonical(w.Name)
		g := got.tensors[name]
		if g == nil || g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) {
			t.Fatalf("%s: got %+v, want %+v", w.Name, g, w)
		}
		if !bytes.Equal(rawBytes(t, g), rawBytes(t, w)) {
			t.Errorf("%s: other values", w.Name)
		}
	}
	if m := got.Tensors()[0].File().Metadata(); m["format"] != "causerie-int8" || m["version"] != "1" {
		t.Errorf("metadata %v", m)
	}
}

// rawBytes are a tensor's bytes as its test file has them.
func rawBytes(t *testing.T, tensor *safetensors.Tensor) []byte {
	t.Helper()
	if tensor.DType == I8 {
		q := make([]int8, tensor.Len())
		if err := tensor.ReadInt8(q, 0); err != nil {
			t.Fatal(err)
		}
		return bytesOf(q)
	}
	values := make([]float32, tensor.Len())
	if err := tensor.ReadFloats(values, 0); err != nil {
		t.Fatal(err)
	}
	raw, err := safetensors.AppendFloats(nil, values, F32)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Store writes the very files that Save writes of the loaded model, and an
// int8 folder again as it is.
func TestStoreIsLoadThenSave(t *testing.T) {
	for _, name := range append(slices.Clone(goldens), "int8") {
		for _, dtype := range []safetensors.DType{F32, F16, BF16} {
			t.Run(name+"/"+string(dtype), func(t *testing.T) {
				f := openGolden(t, name)
				got, want := store(t, f, dtype), t.TempDir()
				if err := Save(want, f.Config, f.Generation, load(t, f).Params(), dtype); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, got, want)
			})
		}
	}
	first := store(t, openGolden(t, "f16"), I8)
	sameFiles(t, store(t, openTest(t, first), I8), first)
}

func sameFiles(t *testing.T, got, want string) {
	t.Helper()
	for _, file := range []string{weightsFile, configFile, generationFile} {
		a, err := os.ReadFile(filepath.Join(got, file))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(want, file))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs", file)
		}
	}
}

// int8 folders that are not what they say are refused, all complaints at once.
func TestBrokenInt8Folders(t *testing.T) {
	const weights = "model.safetensors"
	for _, test := range []struct {
		name  string
		spoil func(t *testing.T, m fstest.MapFS)
		want  []string
	}{
		{"no quantization_config", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"quantization_config"`, `"other"`)
		}, []string{
			"folder/model.safetensors: tensor transformer.h.1.mlp.c_proj.weight is int8, and no quantization_config in folder/config.json says",
			"folder/model.safetensors: tensor transformer.wte.weight_scale of shape [67] has no place",
		}},
		{"newer version", func(t *testing.T, m fstest.MapFS) { change(t, m, configFile, `"version": 1`, `"version": 2`) },
			[]string{"folder/config.json: quantization_config: only version 1 of causerie-int8 is known"}},
		{"another scheme", func(t *testing.T, m fstest.MapFS) {
			change(t, m, configFile, `"format": "causerie-int8"`, `"quant_method": "gptq"`)
		}, []string{"folder/config.json: quantization_config: such models are not supported"}},
		{"no scale", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, "transformer.h.0.attn.c_attn.weight_scale", "transformer.h.0.attn.c_attn.weight_scala")
		}, []string{
			"folder/model.safetensors: tensor transformer.h.0.attn.c_attn.weight_scale is missing, of shape [96]",
			"tensor transformer.h.0.attn.c_attn.weight_scala of shape [96] has no place",
		}},
		{"scale of another shape", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, `"lm_head.weight_scale":{"dtype":"F32","shape":[67]`, `"lm_head.weight_scale":{"dtype":"F32","shape":[1,67]`)
		}, []string{"tensor lm_head.weight_scale is F32 of shape [1 67], the scales of lm_head.weight are F32 of shape [67]"}},
		{"scale of another type", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, `"lm_head.weight_scale":{"dtype":"F32"`, `"lm_head.weight_scale":{"dtype":"I32"`)
		}, []string{"tensor lm_head.weight_scale is I32 of shape [67], the scales"}},
		{"unsigned", func(t *testing.T, m fstest.MapFS) {
			change(t, m, weights, `"transformer.wte.weight":{"dtype":"I8"`, `"transformer.wte.weight":{"dtype":"U8"`)
		}, []string{"tensor transformer.wte.weight is U8, the quantization_config of folder/config.json says int8"}},
		{"negative scale", spoilFloat("lm_head.weight_scale", 3, -1), []string{"tensor lm_head.weight_scale: value 3 is -1: not the scale of any weights"}},
		{"NaN scale", spoilFloat("transformer.wte.weight_scale", 66, float32(math.NaN())), []string{"tensor transformer.wte.weight_scale: value 66 is NaN"}},
		{"huge scale", spoilFloat("transformer.wte.weight_scale", 0, 3e36), []string{"tensor transformer.wte.weight_scale: value 0 is 3e+36"}},
		{"infinite norm", spoilFloat("transformer.ln_f.weight", 1, float32(math.Inf(1))), []string{"tensor transformer.ln_f.weight: value 1 is +Inf"}},
		{"-128", func(t *testing.T, m fstest.MapFS) {
			data := m[weights].Data
			data[len(data)-5] = 0x80
		}, []string{"tensor transformer.wte.weight: value 2139 is -128: the file is damaged"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := memory(t, "int8")
			test.spoil(t, m)
			for _, frozen := range []bool{false, true} {
				err := tryOpen(t, m, frozen)
				if err == nil {
					t.Fatal("no error")
				}
				for _, want := range test.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("got:  %v\nwant: %s", err, want)
					}
				}
			}
		})
	}
}

// spoilFloat overwrites a value of a float32 tensor.
func spoilFloat(tensor string, i int, value float32) func(*testing.T, fstest.MapFS) {
	return func(t *testing.T, m fstest.MapFS) {
		data := m["model.safetensors"].Data
		p := readPlainly(t, filepath.Join("testdata", "int8", "model.safetensors"))[tensor]
		start := int(8+binary.LittleEndian.Uint64(data)) + p.Offsets[0]
		binary.LittleEndian.PutUint32(data[start+4*i:], math.Float32bits(value))
	}
}

// tryOpen loads a folder, for training or for serving.
func tryOpen(t *testing.T, m fstest.MapFS, frozen bool) error {
	if !frozen {
		return tryLoad(t, m)
	}
	f, err := Open(m, "folder")
	if err != nil {
		return err
	}
	net, err := gpt2.NewFrozen(f.Config.Model, kernels.Int8)
	if err != nil {
		t.Fatal(err)
	}
	return f.LoadInto(net.Params())
}

// A tied head stored beside the embedding is compared, with its scales.
func TestTiedInt8Head(t *testing.T) {
	m := memory(t, "int8")
	change(t, m, configFile, `"tie_word_embeddings": false`, `"tie_word_embeddings": true`)
	if err := tryLoad(t, m); err == nil || !strings.Contains(err.Error(), "tensor lm_head.weight differs from transformer.wte.weight in row 0") {
		t.Error(err)
	}
	// One of a tied pair is enough.
	tied := memory(t, "tied")
	dir := store(t, openGolden(t, "tied"), I8)
	for _, file := range []string{weightsFile, configFile} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		tied[file] = &fstest.MapFile{Data: data}
	}
	change(t, tied, weightsFile, `"transformer.wte.weight":`, `"lm_head.weight":`)
	change(t, tied, weightsFile, `"transformer.wte.weight_scale":`, `"lm_head.weight_scale":`)
	if err := tryLoad(t, tied); err != nil {
		t.Error(err)
	}
}

// numpy and safetensors read what Store wrote; transformers refuses it.
func TestPythonReadsInt8(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("starts Python and torch: set CAUSERIE_LONG")
	}
	if err := exec.Command("python3", "-c", "import torch, transformers").Run(); err != nil {
		t.Skip("python3 with torch and transformers is not installed")
	}
	for _, name := range []string{"tied", "untied"} {
		dir := store(t, openGolden(t, name), I8)
		script := filepath.Join("testdata", "int8.py")
		out, err := exec.CommandContext(t.Context(), "python3", script, dir, filepath.Join("testdata", name)).CombinedOutput()
		t.Logf("%s\n%s", name, out)
		if err != nil {
			t.Error(err)
		}
	}
}

// Whatever header and bytes an int8 folder has: an error or weights, no panic.
// Besides what the fuzzer makes of the two files, one byte of the weights' file
// changes, so that it gets past the checks of its length.
func FuzzInt8Folder(f *testing.F) {
	config, err := os.ReadFile(filepath.Join("testdata", "int8", configFile))
	if err != nil {
		f.Fatal(err)
	}
	weights, err := os.ReadFile(filepath.Join("testdata", "int8", weightsFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(config, weights, uint32(0), byte(0))
	f.Add(config, weights, uint32(len(weights)-1), byte(0x80))
	f.Add(config, weights, uint32(bytes.Index(weights, []byte(`"I8"`))+1), byte('U'^'I'))
	f.Add(config, weights, uint32(bytes.Index(weights, []byte("_scale"))+1), byte(1))
	f.Add(bytes.Replace(config, []byte("causerie"), []byte("others"), 1), weights, uint32(9), byte(1))
	f.Fuzz(func(t *testing.T, config, weights []byte, at uint32, flip byte) {
		if len(weights) > 0 {
			weights = bytes.Clone(weights)
			weights[at%uint32(len(weights))] ^= flip
		}
		folder, err := Open(fstest.MapFS{configFile: {Data: config}, weightsFile: {Data: weights}}, "folder")
		if err != nil {
			return
		}
		for _, dtype := range []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8} {
			m, err := gpt2.NewFrozen(folder.Config.Model, dtype)
			if err != nil {
				t.Fatal(err)
			}
			_ = folder.LoadInto(m.Params()) // may complain about values
		}
	})
}
