package hf

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/gpt2"
)

func TestParseConfig(t *testing.T) {
	end := int32(50256)
	for _, test := range []struct {
		name, in string
		want     Config
	}{
		{"defaults", `{"model_type": "gpt2"}`, Config{
			Model: gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12, Inner: 3072, Eps: 1e-5},
			BOS:   &end, EOS: []int32{50256}, Activation: "gelu_new",
		}},
		{"first years", `{"vocab_size": 13317, "n_ctx": 300, "n_embd": 768, "n_head": 12, "n_layer": 10, "initializer_range": 0.02}`, Config{
			Model: gpt2.Config{VocabSize: 13317, Positions: 300, Width: 768, Heads: 12, Layers: 10, Inner: 3072, Eps: 1e-5},
			EOS:   []int32{}, Activation: "gelu_new",
			Rest: map[string]json.RawMessage{"initializer_range": json.RawMessage("0.02")},
		}},
		{"everything", `{
			"architectures": ["GPT2Model"], "model_type": "gpt2", "activation_function": "gelu_pytorch_tanh",
			"vocab_size": 100, "n_positions": 64, "n_ctx": 32, "n_embd": 24, "n_head": 3, "n_layer": 2, "n_inner": 50,
			"layer_norm_epsilon": 1e-06, "tie_word_embeddings": false, "scale_attn_weights": true,
			"scale_attn_by_inverse_layer_idx": false, "reorder_and_upcast_attn": true, "add_cross_attention": false,
			"bos_token_id": 1, "eos_token_id": [2, 3, 100], "pad_token_id": -1, "torch_dtype": "float16", "dtype": "float16",
			"attn_pdrop": 0.1, "tokenizer_class": "BertTokenizer", "quantization_config": null}`, Config{
			Model: gpt2.Config{VocabSize: 100, Positions: 64, Width: 24, Heads: 3, Layers: 2, Inner: 50, Eps: 1e-6, Untied: true},
			BOS:   new(int32(1)), EOS: []int32{2, 3}, Activation: "gelu_pytorch_tanh",
			Rest: map[string]json.RawMessage{"attn_pdrop": json.RawMessage("0.1"), "tokenizer_class": json.RawMessage(`"BertTokenizer"`), "quantization_config": json.RawMessage("null")},
		}},
		{"other names", `{"model_type": "gpt2", "vocab_size": 10, "max_position_embeddings": 8, "hidden_size": 4, "num_attention_heads": 2,
			"num_hidden_layers": 1, "n_inner": null, "bos_token_id": null, "eos_token_id": null}`, Config{
			Model:      gpt2.Config{VocabSize: 10, Positions: 8, Width: 4, Heads: 2, Layers: 1, Inner: 16, Eps: 1e-5},
			Activation: "gelu_new",
		}},
		{"byte order mark", "\ufeff" + `{"model_type": "gpt2", "n_layer": 1, "eos_token_id": null, "bos_token_id": null}`, Config{
			Model:      gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 1, Inner: 3072, Eps: 1e-5},
			Activation: "gelu_new",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := ParseConfig([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			roundTrip(t, got)
		})
	}
}

// roundTrip checks that what is written is read as the same.
func roundTrip(t *testing.T, c Config) {
	t.Helper()
	text, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig(text)
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(c.EOS) == 0 {
		c.EOS, again.EOS = nil, nil
	}
	if diff := cmp.Diff(c, again); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigErrors(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{``, "ends early"},
		{`[]`, "want a JSON object"},
		{`{}`, "model_type: missing, and n_embd and n_layer too"},
		{`{"model_type": "llama"}`, `model_type: only gpt2 is supported, not "llama"`},
		{`{"model_type": 2}`, "model_type: want a string, not 2"},
		{`{"model_type": "gpt2", "model_type": "gpt2"}`, `key "model_type" is there twice`},
		{`{"model_type": "gpt2", "architectures": ["GPT2ForTokenClassification"]}`, "architectures: only GPT2LMHeadModel and GPT2Model are supported, not GPT2ForTokenClassification"},
		{`{"model_type": "gpt2", "architectures": "GPT2LMHeadModel"}`, "architectures: want a list of strings"},
		{`{"model_type": "gpt2", "architectures": [null]}`, "architectures: want a list of strings"},
		{`{"model_type": "gpt2", "vocab_size": 5e3}`, "vocab_size: want a whole number, not 5e3"},
		{`{"model_type": "gpt2", "vocab_size": 5.0}`, "vocab_size: want a whole number, not 5.0"},
		{`{"model_type": "gpt2", "vocab_size": 99999999999999999999}`, "vocab_size: want a whole number"},
		{`{"model_type": "gpt2", "vocab_size": 20000000}`, "vocab_size is 20000000: larger than any GPT-2"},
		{`{"model_type": "gpt2", "vocab_size": true}`, "vocab_size: want a whole number, not true"},
		{`{"model_type": "gpt2", "vocab_size": 0}`, "vocab_size: want at least 1, not 0"},
		{`{"model_type": "gpt2", "n_positions": {}}`, "n_positions: want a whole number, not {}"},
		{`{"model_type": "gpt2", "n_ctx": -1}`, "n_ctx: want at least 1, not -1"},
		{`{"model_type": "gpt2", "n_inner": 0}`, "n_inner: want at least 1, not 0"},
		{`{"model_type": "gpt2", "n_embd": 100}`, "n_embd 100 is not a multiple of n_head 12"},
		{`{"model_type": "gpt2", "layer_norm_epsilon": "1e-5"}`, `layer_norm_epsilon: want a number, not "1e-5"`},
		{`{"model_type": "gpt2", "layer_norm_epsilon": -1e-5}`, "layer_norm_epsilon must be positive, not -1e-05"},
		{`{"model_type": "gpt2", "layer_norm_epsilon": 0}`, "layer_norm_epsilon must be positive, not 0"},
		{`{"model_type": "gpt2", "layer_norm_epsilon": 1e300}`, "layer_norm_epsilon must be positive, not 1e+300"},
		{`{"model_type": "gpt2", "activation_function": "gelu"}`, `activation_function: "gelu" is the exact GELU`},
		{`{"model_type": "gpt2", "activation_function": "relu"}`, `activation_function: only gelu_new and gelu_pytorch_tanh are supported, not "relu"`},
		{`{"model_type": "gpt2", "activation_function": 1}`, "activation_function: want a string, not 1"},
		{`{"model_type": "gpt2", "tie_word_embeddings": 1}`, "tie_word_embeddings: want true or false, not 1"},
		{`{"model_type": "gpt2", "scale_attn_weights": false}`, "scale_attn_weights: only true is supported"},
		{`{"model_type": "gpt2", "scale_attn_by_inverse_layer_idx": true}`, "scale_attn_by_inverse_layer_idx: only false is supported"},
		{`{"model_type": "gpt2", "reorder_and_upcast_attn": "no"}`, `reorder_and_upcast_attn: want true or false, not "no"`},
		{`{"model_type": "gpt2", "add_cross_attention": true}`, "add_cross_attention: only false is supported"},
		{`{"model_type": "gpt2", "quantization_config": {"bits": 4}}`, "quantization_config: such models are not supported"},
		{`{"model_type": "gpt2", "bos_token_id": [1]}`, "bos_token_id: want one token id, not [1]"},
		{`{"model_type": "gpt2", "eos_token_id": [1, "2"]}`, `eos_token_id: want a token id, not "2"`},
		{`{"model_type": "gpt2", "pad_token_id": 1.5}`, "pad_token_id: want a token id, not 1.5"},
	} {
		_, err := ParseConfig([]byte(test.in))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", test.in, err, test.want)
		}
	}
}

func TestParseGeneration(t *testing.T) {
	in := `{"bos_token_id": 1, "eos_token_id": [2, 3], "pad_token_id": null, "do_sample": true, "temperature": 0.7, "top_k": 50,
		"top_p": 0.9, "min_p": 0.05, "typical_p": 1.0, "repetition_penalty": 1.1, "no_repeat_ngram_size": 3, "max_length": 200,
		"max_new_tokens": 64, "num_beams": 1, "transformers_version": "4.40.0", "_from_model_config": true}`
	want := Generation{
		BOS: new(int32(1)), EOS: []int32{2, 3}, DoSample: new(true), Temperature: new(0.7), TopK: new(50),
		TopP: new(0.9), MinP: new(0.05), TypicalP: new(1.0), RepetitionPenalty: new(1.1), NoRepeatNgramSize: new(3),
		MaxLength: new(200), MaxNewTokens: new(64), Rest: map[string]json.RawMessage{
			"num_beams": json.RawMessage("1"), "transformers_version": json.RawMessage(`"4.40.0"`), "_from_model_config": json.RawMessage("true"),
		},
	}
	got, err := ParseGeneration([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	text, err := got.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseGeneration(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, again); diff != "" {
		t.Error(diff)
	}
	for _, empty := range []string{`{}`, `{"temperature": null, "top_k": null, "do_sample": null, "eos_token_id": null}`} {
		got, err := ParseGeneration([]byte(empty))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Generation{}, got); diff != "" {
			t.Errorf("%s: %s", empty, diff)
		}
	}
}

func TestParseGenerationErrors(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"temperature": "0.7"}`, `temperature: want a number, not "0.7"`},
		{`{"temperature": -0.7}`, "temperature: want a number that is not negative, not -0.7"},
		{`{"top_k": 1.5}`, "top_k: want a whole number, not 1.5"},
		{`{"top_k": -1}`, "top_k: want at least 0, not -1"},
		{`{"top_p": 1.5}`, "top_p: want a number between 0 and 1, not 1.5"},
		{`{"top_p": [0.5]}`, "top_p: want a number, not [0.5]"},
		{`{"repetition_penalty": 0}`, "repetition_penalty: want a positive number, not 0"},
		{`{"repetition_penalty": false}`, "repetition_penalty: want a number, not false"},
		{`{"max_length": "20"}`, `max_length: want a whole number, not "20"`},
		{`{"max_new_tokens": 0}`, "max_new_tokens: want at least 1, not 0"},
		{`{"do_sample": "yes"}`, `do_sample: want true or false, not "yes"`},
		{`{"eos_token_id": {"a": 1}}`, `eos_token_id: want a token id, not {"a": 1}`},
		{`{"bos_token_id": [1, 2]}`, "bos_token_id: want one token id, not [1, 2]"},
		{`{"top_k": true, "top_p": 2}`, "top_k: want a whole number, not true\ntop_p: want"},
		{`{`, "ends early"},
	} {
		_, err := ParseGeneration([]byte(test.in))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s:\ngot  %v\nwant %s", test.in, err, test.want)
		}
	}
}

func TestReadFileLimit(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, configFile), make([]byte, maxJSON+1), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := ReadConfig(os.DirFS(dir), "folder")
	if want := fmt.Sprintf("folder/config.json: larger than %d bytes", maxJSON); err == nil || !strings.Contains(err.Error(), want) {
		t.Error(err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, name := range goldens {
		text, err := os.ReadFile(filepath.Join("testdata", name, configFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"model_type": "gpt2", "eos_token_id": [1, 2], "n_inner": 7, "n_embd": 24}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if c, err := ParseConfig(in); err == nil {
			roundTripAgain(t, c)
		}
	})
}

// roundTripAgain is roundTrip for configurations whose Rest may be written in
// another form than it was read: what is written stays as it is.
func roundTripAgain(t *testing.T, c Config) {
	t.Helper()
	first, err := c.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseConfig(first)
	if err != nil {
		t.Fatalf("%v in %s", err, first)
	}
	if again.Model != c.Model {
		t.Fatalf("got %+v, want %+v", again.Model, c.Model)
	}
	second, err := again.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Fatalf("%s was read and written as %s", first, second)
	}
}

func FuzzParseGeneration(f *testing.F) {
	f.Add([]byte(`{"eos_token_id": [2, 3], "do_sample": true, "temperature": 0.7, "top_k": 50, "other": {"a": [1]}}`))
	f.Add([]byte(`{"bos_token_id": 0, "repetition_penalty": 1.1, "max_length": 20}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		g, err := ParseGeneration(in)
		if err != nil {
			return
		}
		first, err := g.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseGeneration(first)
		if err != nil {
			t.Fatalf("%v in %s", err, first)
		}
		second, err := again.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if string(first) != string(second) {
			t.Fatalf("%s was read and written as %s", first, second)
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata/sharded", indexFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"weight_map": {"a": "b.safetensors", "c": "../d.safetensors"}}`))
	f.Add([]byte(`{"weight_map": {"a": null}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := parseIndex(in)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !filepath.IsLocal(e.shard) {
				t.Fatalf("%q leads out of the folder", e.shard)
			}
		}
	})
}
