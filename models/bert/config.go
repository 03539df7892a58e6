package bert

import "fmt"

// Config is the shape of a BERT encoder. Package hf maps the keys of
// config.json to it.
type Config struct {
	VocabSize int     // rows of the token embedding
	Positions int     // the most tokens a text may have
	Types     int     // rows of the token type embedding; 0 means 2
	Width     int     // hidden_size
	Heads     int     // attention heads; Width is a multiple of Heads
	Layers    int     // encoder blocks
	Inner     int     // intermediate_size; 0 means 4*Width
	Eps       float32 // layer-norm epsilon; 0 means 1e-12
	TanhGELU  bool    // GELU's tanh approximation instead of its exact form
}

// EnsureDefaults fills the fields that may be left zero.
func (c *Config) EnsureDefaults() {
	if c.Types == 0 {
		c.Types = 2
	}
	if c.Inner == 0 {
		c.Inner = 4 * c.Width
	}
	if c.Eps == 0 {
		c.Eps = 1e-12
	}
}

// Validate says what makes a configuration impossible to build.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"max_position_embeddings", c.Positions}, {"type_vocab_size", c.Types},
		{"hidden_size", c.Width}, {"num_attention_heads", c.Heads}, {"num_hidden_layers", c.Layers},
		{"intermediate_size", c.Inner},
	} {
		if f.value <= 0 {
			return fmt.Errorf("%s must be positive, not %d", f.name, f.value)
		}
		if f.value > 1<<24 {
			return fmt.Errorf("%s is %d: larger than any BERT", f.name, f.value)
		}
	}
	if c.Width%c.Heads != 0 {
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", c.Width, c.Heads)
	}
	if !(c.Eps > 0) {
		return fmt.Errorf("layer_norm_eps must be positive, not %g", c.Eps)
	}
	return nil
}
