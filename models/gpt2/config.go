package gpt2

import "fmt"

// Config is the shape of a GPT-2 decoder. The field names follow this
// project's terms; package hf maps them to the keys of config.json.
type Config struct {
	VocabSize int     // rows of the token embedding
	Positions int     // context length: the most tokens one sequence may hold
	Width     int     // n_embd, the width of the residual stream
	Heads     int     // attention heads; Width is a multiple of Heads
	Layers    int     // decoder blocks
	Inner     int     // width of the feed-forward layer; 0 means 4*Width
	Eps       float32 // layer-norm epsilon; 0 means 1e-5
	Untied    bool    // true when the LM head has weights of its own
}

// EnsureDefaults fills the fields that may be left zero.
func (c *Config) EnsureDefaults() {
	if c.Inner == 0 {
		c.Inner = 4 * c.Width
	}
	if c.Eps == 0 {
		c.Eps = 1e-5
	}
}

// HeadSize is the width of one attention head.
func (c Config) HeadSize() int { return c.Width / c.Heads }

// Validate says what makes a configuration impossible to build.
func (c Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"n_positions", c.Positions}, {"n_embd", c.Width},
		{"n_head", c.Heads}, {"n_layer", c.Layers}, {"n_inner", c.Inner},
	} {
		if f.value <= 0 {
			return fmt.Errorf("%s must be positive, not %d", f.name, f.value)
		}
		if f.value > 1<<24 {
			return fmt.Errorf("%s is %d: larger than any GPT-2", f.name, f.value)
		}
	}
	if c.Width%c.Heads != 0 {
		return fmt.Errorf("n_embd %d is not a multiple of n_head %d", c.Width, c.Heads)
	}
	if !(c.Eps > 0) {
		return fmt.Errorf("layer_norm_epsilon must be positive, not %g", c.Eps)
	}
	return nil
}
