package hf

import (
	"fmt"
	"slices"
	"strings"

	"causerie/models/bert"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// encoderName is the name that BertModel has for a stored tensor; "" for what is
// no part of it: heads for other tasks, the pooler before them, buffers.
func encoderName(stored string) string {
	name := strings.TrimPrefix(stored, "bert.")
	name = strings.Replace(name, "LayerNorm.gamma", "LayerNorm.weight", 1) // in files that
	name = strings.Replace(name, "LayerNorm.beta", "LayerNorm.bias", 1)    // TensorFlow began
	if !strings.HasPrefix(name, "embeddings.") && !strings.HasPrefix(name, "encoder.") ||
		name == "embeddings.position_ids" || name == "embeddings.token_type_ids" {
		return ""
	}
	return name
}

// match finds the model's tensors among those stored. Missing, ill-shaped and
// superfluous ones are reported together.
func (e *Encoder) match() error {
	var p problems
	e.tensors = make(map[string]*safetensors.Tensor)
	left := make(map[string]bool)
	for _, t := range e.weights.order {
		name := encoderName(t.Name)
		if name == "" {
			continue
		}
		if other := e.tensors[name]; other != nil {
			p.add("%s: tensor %s is the same as %s", t.File().Name(), t.Name, other.Name)
		}
		e.tensors[name], left[name] = t, true
	}
	for name, shape := range encoderLayout(e.Model) {
		t := e.tensors[name]
		switch {
		case t == nil:
			p.add("%s: tensor %s is missing, of shape %d", e.weights.weights, name, shape)
		case !slices.Equal(t.Shape, shape):
			p.add("%s: tensor %s has shape %d, the model needs %d", t.File().Name(), t.Name, t.Shape, shape)
		case !t.DType.IsFloat():
			p.add("%s: tensor %s is %s; only F32, F16 and BF16 are supported", t.File().Name(), t.Name, t.DType)
		}
		if p.more { // a hostile configuration may have millions of layers
			return p.err()
		}
		delete(left, name)
	}
	for _, t := range e.weights.order {
		if left[encoderName(t.Name)] {
			p.add("%s: tensor %s of shape %d has no place in the model", t.File().Name(), t.Name, t.Shape)
		}
	}
	return p.err()
}

// encoderLayout lists the tensors of a model, by the names of BertModel,
// without making it.
func encoderLayout(c bert.Config) func(yield func(string, []int) bool) {
	w := c.Width
	block := []struct {
		name    string
		out, in int
	}{
		{"attention.self.query", w, w}, {"attention.self.key", w, w}, {"attention.self.value", w, w},
		{"attention.output.dense", w, w}, {"attention.output.LayerNorm", w, 0},
		{"intermediate.dense", c.Inner, w}, {"output.dense", w, c.Inner}, {"output.LayerNorm", w, 0},
	}
	return func(yield func(string, []int) bool) {
		for _, t := range []struct {
			name  string
			shape []int
		}{
			{"word_embeddings.weight", []int{c.VocabSize, w}}, {"position_embeddings.weight", []int{c.Positions, w}},
			{"token_type_embeddings.weight", []int{c.Types, w}}, {"LayerNorm.weight", []int{w}}, {"LayerNorm.bias", []int{w}},
		} {
			if !yield("embeddings."+t.name, t.shape) {
				return
			}
		}
		for i := range c.Layers {
			for _, t := range block {
				name := fmt.Sprintf("encoder.layer.%d.%s", i, t.name)
				shape := []int{t.out, t.in}
				if t.in == 0 {
					shape = shape[:1]
				}
				if !yield(name+".weight", shape) || !yield(name+".bias", []int{t.out}) {
					return
				}
			}
		}
	}
}

// Load makes the network and reads its weights, on all cores, each linear layer's
// laid out in the dtype as it comes.
func (e *Encoder) Load(dtype kernels.DType) (*bert.Model, error) {
	m, err := bert.New(e.Model, dtype)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	var pieces []piece
	for _, p := range m.Params() {
		parts := make([]matrix, len(p.Names))
		for i, name := range p.Names {
			if parts[i], err = openMatrix(stored{Tensor: e.tensors[name]}); err != nil {
				return nil, err
			}
		}
		if p.Packed != nil {
			pieces = appendPieces(pieces, stacking{parts, p.Packed})
			continue
		}
		n := len(p.Data) / len(parts)
		for i, part := range parts {
			pieces = appendPieces(pieces, loading{part, p.Data[i*n : (i+1)*n], false})
		}
	}
	return m, runPieces(pieces)
}

// stacking lays out a weight whose rows a file has as several matrices.
type stacking struct {
	parts []matrix // [out, in] each, of one size
	dst   *kernels.Packed
}

// A weight of an encoder is one piece: there are dozens, and none is large.
func (stacking) rows() int { return 1 }
func (stacking) step() int { return 1 }

func (l stacking) run(_, _ int, s *scratch) error {
	values := grow(&s.floats, l.dst.N*l.dst.K)
	n := len(values) / len(l.parts)
	for i, part := range l.parts {
		if err := part.read(values[i*n:(i+1)*n], 0, part.rows(), s); err != nil {
			return err
		}
	}
	return l.parts[0].round(l.dst, 0, values, s)
}
