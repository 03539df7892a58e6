package hf

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"

	"causerie/models/gpt2"
	"causerie/models/hf/internal/strictjson"
)

const configFile = "config.json"

// Config is what config.json says.
type Config struct {
	Model gpt2.Config // the decoder's shape

	// Token ids; none of them is outside the vocabulary.
	BOS, PAD *int32  // nil when the model has none
	EOS      []int32 // what ends a text; mostly one id

	// Int8 says that the file holds int8 weights with scales (see the package
	// documentation); it is the quantization_config that Quantize writes.
	Int8 bool

	Activation string // "gelu_new" (also when empty) or "gelu_pytorch_tanh": two names of one function

	// Rest are the keys that mean nothing to this package (dropout for training,
	// the tokenizer's class, …). They are written back as they were read.
	Rest map[string]json.RawMessage
}

// ReadConfig reads config.json of a folder. The name of the folder is only used
// in errors, which report all wrong keys together. An absent key has the value
// that transformers gives it: the shape of the smallest GPT-2.
func ReadConfig(fsys fs.FS, name string) (Config, error) {
	data, err := readFile(fsys, name, configFile, maxJSON)
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(data)
	if err != nil {
		return Config{}, inFile(path.Join(name, configFile), err)
	}
	return c, nil
}

// ParseConfig reads the text of a config.json.
func ParseConfig(data []byte) (Config, error) {
	f, err := parseFields(data)
	if err != nil {
		return Config{}, err
	}
	if err := checkArchitecture(f); err != nil {
		return Config{}, err
	}
	c := Config{Model: gpt2.Config{VocabSize: 50257, Positions: 1024, Width: 768, Heads: 12, Layers: 12}}
	m := &c.Model
	f.integer("vocab_size", 1, &m.VocabSize)
	aliased(f, &m.Positions, "n_positions", "max_position_embeddings", "n_ctx")
	aliased(f, &m.Width, "n_embd", "hidden_size")
	aliased(f, &m.Heads, "n_head", "num_attention_heads")
	aliased(f, &m.Layers, "n_layer", "num_hidden_layers")
	f.integer("n_inner", 1, &m.Inner)
	eps := 1e-5
	f.number("layer_norm_epsilon", &eps)
	m.Eps = float32(eps)
	m.Untied = !f.flag("tie_word_embeddings", true)
	c.Activation = f.text("activation_function", "gelu_new")
	c.Int8 = readQuantization(f)
	refuseVariants(f, c.Activation)
	c.readTokens(f)
	for _, key := range []string{"dtype", "torch_dtype"} { // the tensors say it themselves
		f.take(key)
	}
	c.Rest = f.rest()
	if len(f.errs) > 0 {
		return Config{}, errors.Join(f.errs...)
	}
	if !(m.Eps > 0 && m.Eps <= math.MaxFloat32) { // neither too small nor too large for a float32
		return Config{}, fmt.Errorf("layer_norm_epsilon must be positive, not %g", eps)
	}
	m.EnsureDefaults()
	if err := m.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// aliased takes the first of the keys that is there; a second one is an older
// name of the same, whatever it says.
func aliased(f *fields, dst *int, keys ...string) {
	set := false
	for _, key := range keys {
		if ignored := 0; set {
			f.integer(key, 0, &ignored)
		} else {
			set = f.integer(key, 1, dst)
		}
	}
}

// checkArchitecture refuses what is not a plain GPT-2 language model. Folders
// of the first years name neither type nor architecture; their keys tell.
func checkArchitecture(f *fields) error {
	bare := !f.has("model_type") && !f.has("architectures")
	if bare && !f.has("n_embd") && !f.has("n_layer") {
		return errors.New("model_type: missing, and n_embd and n_layer too: this is no GPT-2 configuration")
	}
	if kind := f.text("model_type", "gpt2"); kind != "gpt2" {
		return fmt.Errorf("model_type: only gpt2 is supported, not %q", kind)
	}
	list := f.texts("architectures")
	if len(list) > 0 && !slices.Contains(list, "GPT2LMHeadModel") && !slices.Contains(list, "GPT2Model") {
		return fmt.Errorf("architectures: only GPT2LMHeadModel and GPT2Model are supported, not %s", strings.Join(list, ", "))
	}
	return errors.Join(f.errs...)
}

// refuseVariants refuses settings that change what GPT-2 computes.
func refuseVariants(f *fields, activation string) {
	switch activation {
	case "gelu_new", "gelu_pytorch_tanh":
	case "gelu":
		f.fail("activation_function", `"gelu" is the exact GELU; only its tanh approximation is supported (gelu_new, gelu_pytorch_tanh)`)
	default:
		f.fail("activation_function", "only gelu_new and gelu_pytorch_tanh are supported, not %q", activation)
	}
	for _, v := range []struct {
		key  string
		want bool
	}{
		{"scale_attn_weights", true},
		{"scale_attn_by_inverse_layer_idx", false},
		{"add_cross_attention", false},
	} {
		if f.flag(v.key, v.want) != v.want {
			f.fail(v.key, "only %t is supported", v.want)
		}
	}
	// The order of operations in half precision: the same numbers here.
	f.flag("reorder_and_upcast_attn", false)
	for _, key := range []string{quantizationKey, "pruned_heads"} {
		if value := f.left[key]; value != nil && string(value) != "null" && string(value) != "{}" {
			f.take(key)
			f.fail(key, "such models are not supported: %s", strictjson.Show(value))
		}
	}
}

// readTokens takes the special ids. A folder with a small vocabulary often
// still says 50256, GPT-2's own end of text: an id that no token has can
// neither be read nor produced, and counts as none.
func (c *Config) readTokens(f *fields) {
	gpt2End := int32(50256) // what transformers takes when the key is absent
	for _, v := range []struct {
		key string
		dst **int32
	}{{"bos_token_id", &c.BOS}, {"pad_token_id", &c.PAD}} {
		if v.key == "bos_token_id" && !f.has(v.key) {
			c.BOS = &gpt2End
			continue
		}
		*v.dst = f.id(v.key)
	}
	if f.has("eos_token_id") {
		c.EOS = f.ids("eos_token_id")
	} else {
		c.EOS = []int32{gpt2End}
	}
	c.BOS, c.PAD, c.EOS = c.known(c.BOS), c.known(c.PAD), c.knownOnly(c.EOS)
}

// known is the id, or nil when it is outside the vocabulary.
func (c *Config) known(id *int32) *int32 {
	if id == nil || int(*id) >= c.Model.VocabSize {
		return nil
	}
	return id
}

// knownOnly leaves out the ids outside the vocabulary.
func (c *Config) knownOnly(ids []int32) []int32 {
	return slices.DeleteFunc(ids, func(id int32) bool { return int(id) >= c.Model.VocabSize })
}

// Marshal is the text of a config.json that transformers reads.
func (c Config) Marshal() ([]byte, error) {
	m := c.Model
	m.EnsureDefaults()
	if err := m.Validate(); err != nil {
		return nil, err
	}
	values := map[string]any{
		"model_type": "gpt2", "architectures": []string{"GPT2LMHeadModel"},
		"vocab_size": m.VocabSize, "n_positions": m.Positions, "n_embd": m.Width,
		"n_head": m.Heads, "n_layer": m.Layers, "n_inner": m.Inner,
		"layer_norm_epsilon": m.Eps, "tie_word_embeddings": !m.Untied,
		"activation_function": c.Activation,
		"bos_token_id":        c.BOS, "eos_token_id": idsValue(c.EOS), "pad_token_id": c.PAD,
	}
	if m.Inner == 4*m.Width {
		values["n_inner"] = nil
	}
	if c.Int8 {
		values[quantizationKey] = int8Quantization()
	}
	if c.Activation == "" {
		values["activation_function"] = "gelu_new"
	}
	return marshalFields(values, c.Rest)
}

// inFile puts the name of the file before every one of the joined errors.
func inFile(name string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return fmt.Errorf("%s: %w", name, err)
	}
	var named []error
	for _, e := range joined.Unwrap() {
		named = append(named, fmt.Errorf("%s: %w", name, e))
	}
	return errors.Join(named...)
}
