package hf

import (
	"errors"
	"fmt"
	"iter"
	"slices"

	"causerie/models/hf/safetensors"
)

// maxProblems is how many problems of a folder one error lists.
const maxProblems = 20

// match finds the tensor of each spec. Missing, ill-shaped and superfluous
// tensors are reported together.
func (f *Folder) match(specs iter.Seq[spec]) ([]stored, error) {
	var found []stored
	var p problems
	known := make(map[string]bool)
	for s := range specs {
		t := f.tensors[s.name]
		if t == nil && s.name == embedding {
			t = f.tensors[head] // one of a tied pair is enough; checked below
		}
		known[s.name] = true
		switch {
		case t == nil:
			p.add("%s: tensor %s is missing, of shape %d", f.weights, storedName(s.name), s.shape)
		case !slices.Equal(t.Shape, s.shape):
			p.add("%s: tensor %s has shape %d, the model needs %d", t.File().Name(), t.Name, t.Shape, s.shape)
		case s.quantized():
			f.matchScale(t, s, known, &p)
		}
		if p.more { // a hostile configuration may have millions of layers
			return nil, p.err()
		}
		found = append(found, f.stored(t, s))
	}
	if f.tensors[embedding] == nil && known[head] {
		p.add("%s: tensor %s is missing", f.weights, storedName(embedding))
	}
	f.unexpected(known, &p)
	return found, p.err()
}

// unexpected reports the tensors that have no place in the model.
func (f *Folder) unexpected(known map[string]bool, p *problems) {
	// One of a tied pair is enough, and both may be there.
	if h, e := f.tensors[head], f.tensors[embedding]; h != nil && !known[head] {
		known[head] = true
		switch {
		case e == nil: // found in its place
		case slices.Equal(h.Shape, e.Shape):
			f.matchScale(h, spec{head, h.Shape}, known, p)
		default:
			p.add("%s: tensor %s has shape %d, but %s, to which it is tied, has %d", h.File().Name(), h.Name, h.Shape, e.Name, e.Shape)
		}
	}
	for _, t := range f.order {
		if name, skip := canonical(t.Name); !skip && !known[name] {
			p.add("%s: tensor %s of shape %d has no place in the model", t.File().Name(), t.Name, t.Shape)
		}
	}
}

// matchScale checks that a weight is int8, with its scales, in a folder that
// says so, and in no other.
func (f *Folder) matchScale(t *safetensors.Tensor, s spec, known map[string]bool, p *problems) {
	if !f.Config.Int8 {
		if t.DType == safetensors.I8 {
			p.add("%s: tensor %s is int8, and no quantization_config in %s/%s says what its scales are", t.File().Name(), t.Name, f.Name, configFile)
		}
		return
	}
	if t.DType != safetensors.I8 {
		p.add("%s: tensor %s is %s, the quantization_config of %s/%s says int8", t.File().Name(), t.Name, t.DType, f.Name, configFile)
		return
	}
	want := []int{s.scales()}
	name, _ := canonical(t.Name)
	name += scaleSuffix
	known[name] = true
	switch scale := f.tensors[name]; {
	case scale == nil:
		p.add("%s: tensor %s is missing, of shape %d", f.weights, t.Name+scaleSuffix, want)
	case !slices.Equal(scale.Shape, want) || scale.DType != safetensors.F32:
		p.add("%s: tensor %s is %s of shape %d, the scales of %s are %s of shape %d",
			scale.File().Name(), scale.Name, scale.DType, scale.Shape, t.Name, safetensors.F32, want)
	}
}

// stored pairs a tensor with its scales, where it has some.
func (f *Folder) stored(t *safetensors.Tensor, s spec) stored {
	if t == nil || !f.Config.Int8 || !s.quantized() {
		return stored{Tensor: t}
	}
	name, _ := canonical(t.Name)
	return stored{Tensor: t, scale: f.tensors[name+scaleSuffix], byColumn: s.byColumn()}
}

// problems collects errors, the first maxProblems of them.
type problems struct {
	errs []error
	more bool // there were others
}

func (p *problems) add(format string, args ...any) {
	if len(p.errs) == maxProblems {
		p.more = true
		return
	}
	p.errs = append(p.errs, fmt.Errorf(format, args...))
}

func (p *problems) err() error {
	if p.more {
		p.errs = append(p.errs, errors.New("and more"))
	}
	return errors.Join(p.errs...)
}
