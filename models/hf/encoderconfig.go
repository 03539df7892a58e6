package hf

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"

	"causerie/models/bert"
	"causerie/models/hf/internal/strictjson"
)

// encoderType is the model_type of the encoders that are read.
const encoderType = "bert"

// readEncoderConfig reads config.json of a BERT. The name of the folder is only
// used in errors, which report all wrong keys together.
func readEncoderConfig(fsys fs.FS, name string) (bert.Config, error) {
	data, err := readFile(fsys, name, configFile, maxJSON)
	if err != nil {
		return bert.Config{}, err
	}
	c, err := ParseEncoderConfig(data)
	if err != nil {
		return bert.Config{}, inFile(path.Join(name, configFile), err)
	}
	return c, nil
}

// ParseEncoderConfig reads the text of a BERT's config.json. An absent key has
// the value that transformers gives it: the shape of bert-base-uncased.
func ParseEncoderConfig(data []byte) (bert.Config, error) {
	f, err := parseFields(data)
	if err != nil {
		return bert.Config{}, err
	}
	if kind := f.text("model_type", ""); kind != encoderType {
		return bert.Config{}, errors.Join(append(f.errs, fmt.Errorf("model_type: of encoders only %s is supported, not %q", encoderType, kind))...)
	}
	c := bert.Config{VocabSize: 30522, Positions: 512, Types: 2, Width: 768, Heads: 12, Layers: 12, Inner: 3072}
	for _, v := range []struct {
		key string
		dst *int
	}{
		{"vocab_size", &c.VocabSize}, {"max_position_embeddings", &c.Positions}, {"type_vocab_size", &c.Types},
		{"hidden_size", &c.Width}, {"num_attention_heads", &c.Heads}, {"num_hidden_layers", &c.Layers}, {"intermediate_size", &c.Inner},
	} {
		f.integer(v.key, 1, v.dst)
	}
	eps := 1e-12
	f.number("layer_norm_eps", &eps)
	c.Eps = float32(eps)
	c.TanhGELU = readEncoderActivation(f)
	refuseEncoderVariants(f)
	if len(f.errs) > 0 {
		return bert.Config{}, errors.Join(f.errs...)
	}
	if !(c.Eps > 0 && c.Eps <= math.MaxFloat32) { // neither too small nor too large for a float32
		return bert.Config{}, fmt.Errorf("layer_norm_eps must be positive, not %g", eps)
	}
	if err := c.Validate(); err != nil {
		return bert.Config{}, err
	}
	return c, nil
}

// readEncoderActivation says whether GELU is the tanh approximation.
func readEncoderActivation(f *fields) (tanh bool) {
	switch act := f.text("hidden_act", "gelu"); act {
	case "gelu", "gelu_python":
		return false
	case "gelu_new", "gelu_pytorch_tanh":
		return true
	default:
		f.fail("hidden_act", "only gelu, gelu_new and gelu_pytorch_tanh are supported, not %q", act)
		return false
	}
}

// refuseEncoderVariants refuses settings that change what BERT computes.
func refuseEncoderVariants(f *fields) {
	if kind := f.text("position_embedding_type", "absolute"); kind != "absolute" {
		f.fail("position_embedding_type", "only absolute is supported, not %q", kind)
	}
	for _, key := range []string{"is_decoder", "add_cross_attention"} {
		if f.flag(key, false) {
			f.fail(key, "only false is supported")
		}
	}
	for _, key := range []string{quantizationKey, "pruned_heads"} {
		if value := f.take(key); value != nil && string(value) != "{}" {
			f.fail(key, "such models are not supported: %s", strictjson.Show(value))
		}
	}
}
