package hf_test

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causerie/models/hf"
	"causerie/models/kernels"
)

const encoders = "testdata/encoders"

func TestEncoderSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		want   hf.SentenceSettings
		dtype  string
		tanh   bool
		layers int
	}{
		{"mean", hf.SentenceSettings{Pooling: "mean", MaxTokens: 16}, "F32", false, 2},
		{"cls", hf.SentenceSettings{Pooling: "cls", MaxTokens: 20}, "F32", false, 2},
		{"max", hf.SentenceSettings{Pooling: "max", MaxTokens: 24, Prompt: "The "}, "BF16", true, 2},
		{"plain", hf.SentenceSettings{Pooling: "mean", MaxTokens: 24}, "F32", false, 1},
	} {
		e, err := hf.OpenEncoder(filepath.Join(encoders, c.name))
		if err != nil {
			t.Fatal(err)
		}
		if e.SentenceSettings != c.want || string(e.DType()) != c.dtype || e.Model.TanhGELU != c.tanh || e.Model.Layers != c.layers {
			t.Errorf("%s: %+v, %s, %+v", c.name, e.SentenceSettings, e.DType(), e.Model)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if !hf.IsEncoder(filepath.Join(encoders, c.name)) {
			t.Errorf("%s is taken for no encoder", c.name)
		}
	}
	if hf.IsEncoder("testdata/tied") || hf.IsEncoder(t.TempDir()) {
		t.Error("a GPT-2, or an empty folder, is taken for an encoder")
	}
}

// TestOlderSentenceFolder: the switches and the limit as sentence-transformers
// wrote them for years, the network in a folder of its own.
func TestOlderSentenceFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "0_Transformer"), os.DirFS(filepath.Join(encoders, "mean"))); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "modules.json", `[{"idx":0,"name":"0","path":"0_Transformer","type":"sentence_transformers.models.Transformer"},
		{"idx":1,"name":"1","path":"1_Pooling","type":"sentence_transformers.models.Pooling"},
		{"idx":2,"name":"2","path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`)
	write(t, dir, "1_Pooling/config.json", `{"word_embedding_dimension":32,"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}`)
	write(t, dir, "0_Transformer/sentence_bert_config.json", `{"max_seq_length":22,"do_lower_case":true}`)
	e, err := hf.OpenEncoder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if want := (hf.SentenceSettings{Pooling: "cls", MaxTokens: 22, LowerCase: true}); e.SentenceSettings != want {
		t.Errorf("settings %+v, want %+v", e.SentenceSettings, want)
	}
	if _, err := e.Load(kernels.Int8); err != nil {
		t.Error(err)
	}
}

func write(t *testing.T, dir, file, content string) {
	t.Helper()
	file = filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestEncoderErrorsSayWhatAndWhere(t *testing.T) {
	for _, c := range []struct {
		name, from string
		break_     func(t *testing.T, dir string)
		want       string
	}{
		{"no config", "mean", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "config.json")) }, "config.json: no such file"},
		{"another network", "mean", replace("config.json", `"model_type": "bert"`, `"model_type": "mpnet"`), `config.json: model_type: of encoders only bert is supported, not "mpnet"`},
		{"relative positions", "mean", replace("config.json", `"use_cache"`, `"position_embedding_type": "relative_key", "use_cache"`), "position_embedding_type"},
		{"another activation", "mean", replace("config.json", `"hidden_act": "gelu"`, `"hidden_act": "relu"`), "hidden_act"},
		{"a decoder", "mean", replace("config.json", `"is_decoder": false`, `"is_decoder": true`), "is_decoder"},
		{"no layers", "mean", replace("config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 0`), "num_hidden_layers: want at least 1"},
		{"a tensor missing", "mean", replace("config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 3`), "model.safetensors: tensor encoder.layer.2.attention.self.query.weight is missing, of shape [32 32]"},
		{"a tensor too many", "mean", replace("config.json", `"num_hidden_layers": 2`, `"num_hidden_layers": 1`), "has no place in the model"},
		{"a tensor of another shape", "mean", replace("config.json", `"vocab_size": 123`, `"vocab_size": 124`), "embeddings.word_embeddings.weight has shape [123 32], the model needs [124 32]"},
		{"a Dense module", "mean", replace("modules.json", "modules.normalize.Normalize", "models.Dense"), `modules.json: module 2 is "sentence_transformers.base.models.Dense"`},
		{"outside the folder", "mean", replace("modules.json", `"path": "1_Pooling"`, `"path": "../cls/1_Pooling"`), `modules.json: "../cls/1_Pooling" is no folder`},
		{"two poolings", "mean", replace("1_Pooling/config.json", `"pooling_mode": "mean"`, `"pooling_mode_cls_token": true, "pooling_mode_max_tokens": true`), `1_Pooling/config.json: pooling_mode: one of cls, mean, max`},
		{"no such pooling", "mean", replace("1_Pooling/config.json", `"mean"`, `"attention"`), `not "attention"`},
		{"no such prompt", "max", replace("config_sentence_transformers.json", `"default_prompt_name": "query"`, `"default_prompt_name": "passage"`), `there is no prompt "passage"`},
		{"no weights", "mean", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "model.safetensors")) }, "no weights"},
		{"a pickle cut off", "cls", cut("pytorch_model.bin"), "pytorch_model.bin"},
		{"an old pickle cut off", "plain", cut("pytorch_model.bin"), "pytorch_model.bin"},
		{"no pickle", "cls", func(t *testing.T, dir string) { write(t, dir, "pytorch_model.bin", "nonsense") }, "pytorch_model.bin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(filepath.Join(encoders, c.from))); err != nil {
				t.Fatal(err)
			}
			c.break_(t, dir)
			e, err := hf.OpenEncoder(dir)
			if err == nil {
				e.Close()
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q, want one with %q and the folder", err, c.want)
			}
		})
	}
}

func replace(file, old, by string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(data, []byte(old)) {
			t.Fatalf("%s has no %s", file, old)
		}
		write(t, dir, file, strings.Replace(string(data), old, by, 1))
	}
}

func cut(file string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, file, string(data[:len(data)*2/3]))
	}
}

// TestPicklesRunNothing: a pickle asks for a call of posix.system, at the place
// of the magic number and in a state dict; neither is made.
func TestPicklesRunNothing(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	call := "cposix\nsystem\n(S'touch " + marker + "'\ntR."
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	entry, err := w.Create("archive/data.pkl")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write([]byte(call)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"old": call, "zip": archive.String()} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(encoders, "cls"))); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "pytorch_model.bin", content)
		if e, err := hf.OpenEncoder(dir); err == nil {
			e.Close()
			t.Errorf("%s: a pickle of a call is a model", name)
		}
		if _, err := os.Stat(marker); err == nil {
			t.Errorf("%s: the pickle ran a command", name)
		}
	}
}

// FuzzEncoderConfig: no text of a config.json makes the reader panic, and what
// it accepts can be built.
func FuzzEncoderConfig(f *testing.F) {
	for _, name := range []string{"mean", "max"} {
		data, err := os.ReadFile(filepath.Join(encoders, name, "config.json"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := hf.ParseEncoderConfig(data); err == nil && c.Validate() != nil {
			t.Errorf("%s is accepted, though %v", data, c.Validate())
		}
	})
}
