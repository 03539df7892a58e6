package hf

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strings"

	"causerie/models/gpt2"
)

const (
	prefix    = "transformer."
	embedding = "wte.weight"
	positions = "wpe.weight"
	head      = "lm_head.weight"

	// scaleSuffix ends the name of the tensor with an int8 matrix's scales.
	scaleSuffix = "_scale"
)

// spec is a tensor that a model needs, as a file has it.
type spec struct {
	name  string // without prefix
	shape []int  // in the file: [in, out] for a Conv1D
}

// quantized says whether a folder of int8 weights has the tensor as int8.
func (s spec) quantized() bool { return len(s.shape) == 2 && s.name != positions }

// byColumn says whether a quantized tensor's scales belong to its columns, as
// in a Conv1D, rather than to its rows: they belong to the outputs.
func (s spec) byColumn() bool { return s.name != embedding && s.name != head }

// scales is how many scales a quantized tensor has.
func (s spec) scales() int {
	if s.byColumn() {
		return s.shape[1]
	}
	return s.shape[0]
}

// layout lists the tensors of a model without making it.
func layout(c gpt2.Config) iter.Seq[spec] {
	c.EnsureDefaults()
	return func(yield func(spec) bool) {
		block := []spec{
			{"ln_1.weight", []int{c.Width}}, {"ln_1.bias", []int{c.Width}},
			{"attn.c_attn.weight", []int{c.Width, 3 * c.Width}}, {"attn.c_attn.bias", []int{3 * c.Width}},
			{"attn.c_proj.weight", []int{c.Width, c.Width}}, {"attn.c_proj.bias", []int{c.Width}},
			{"ln_2.weight", []int{c.Width}}, {"ln_2.bias", []int{c.Width}},
			{"mlp.c_fc.weight", []int{c.Width, c.Inner}}, {"mlp.c_fc.bias", []int{c.Inner}},
			{"mlp.c_proj.weight", []int{c.Inner, c.Width}}, {"mlp.c_proj.bias", []int{c.Width}},
		}
		if !yield(spec{embedding, []int{c.VocabSize, c.Width}}) || !yield(spec{positions, []int{c.Positions, c.Width}}) {
			return
		}
		for i := range c.Layers {
			for _, s := range block {
				if !yield(spec{fmt.Sprintf("h.%d.%s", i, s.name), s.shape}) {
					return
				}
			}
		}
		if !yield(spec{"ln_f.weight", []int{c.Width}}) || !yield(spec{"ln_f.bias", []int{c.Width}}) {
			return
		}
		if c.Untied {
			yield(spec{head, []int{c.VocabSize, c.Width}})
		}
	}
}

// specsOf lists the tensors that fill params.
func specsOf(params []gpt2.Param) iter.Seq[spec] {
	return func(yield func(spec) bool) {
		for _, p := range params {
			if !yield(spec{p.Name, fileShape(p)}) {
				return
			}
		}
	}
}

// fileShape is the shape that a parameter has in a file.
func fileShape(p gpt2.Param) []int {
	shape := slices.Clone(p.Shape)
	if p.Conv1D {
		slices.Reverse(shape)
	}
	return shape
}

// storedName is the name that transformers gives a parameter in a file.
func storedName(name string) string {
	if name == head {
		return name
	}
	return prefix + name
}

// mask matches the causal mask that older releases stored beside the weights.
var mask = regexp.MustCompile(`^h\.\d+\.attn\.(masked_)?bias$`)

// canonical is the parameter's name of a stored tensor; skip says that it is
// no parameter.
func canonical(stored string) (name string, skip bool) {
	name = strings.TrimPrefix(stored, prefix)
	return name, mask.MatchString(name)
}
