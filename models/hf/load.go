package hf

import (
	"fmt"
	"math"
	"slices"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// LoadInto reads the weights into params, the parameters of a model of
// Config.Model's shape, using all cores. Matrices of a model made by
// gpt2.NewFrozen are laid out for serving as they are read, so that a model
// never takes more memory than it serves with. Every tensor is checked first,
// so an ill-fitting folder leaves params as they were; after an error while
// reading their values are undefined.
func (f *Folder) LoadInto(params []gpt2.Param) error {
	if err := checkParams(params); err != nil {
		return err
	}
	found, err := f.match(specsOf(params))
	if err != nil {
		return err
	}
	var pieces []piece
	for i, p := range params {
		w, err := openMatrix(found[i])
		if err != nil {
			return err
		}
		switch {
		case p.Packed == nil:
			pieces = appendPieces(pieces, loading{w, p.Data, p.Conv1D})
		case p.Conv1D:
			pieces = appendPieces(pieces, packingColumns{w, p.Packed})
		default:
			pieces = appendPieces(pieces, packingRows{w, p.Packed})
		}
	}
	if h, e := f.tensors[head], f.tensors[embedding]; h != nil && e != nil && !f.Config.Model.Untied {
		c, err := f.compareTied(h, e)
		if err != nil {
			return err
		}
		pieces = appendPieces(pieces, c)
	}
	return runPieces(pieces)
}

// checkParams catches parameters that cannot be filled or written.
func checkParams(params []gpt2.Param) error {
	for _, p := range params {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		switch {
		case p.Conv1D && len(p.Shape) != 2:
			return fmt.Errorf("parameter %s of shape %d is no matrix", p.Name, p.Shape)
		case p.Packed != nil && !slices.Equal(p.Shape, []int{p.Packed.N, p.Packed.K}):
			return fmt.Errorf("parameter %s of shape %d is laid out as [%d %d]", p.Name, p.Shape, p.Packed.N, p.Packed.K)
		case p.Packed == nil && n != len(p.Data):
			return fmt.Errorf("parameter %s of shape %d has %d values", p.Name, p.Shape, len(p.Data))
		}
	}
	return nil
}

// loading reads a tensor into a parameter that is kept as float32.
type loading struct {
	matrix
	dst       []float32
	transpose bool // the tensor is [in, out], dst [out, in]
}

func (l loading) run(first, rows int, s *scratch) error {
	width := l.width()
	block := l.dst[first*width : (first+rows)*width]
	if l.transpose {
		block = grow(&s.floats, rows*width)
	}
	if err := l.read(block, first, rows, s); err != nil {
		return err
	}
	if l.transpose {
		transpose(l.dst[first:], l.rows(), block, rows, width)
	}
	return nil
}

// comparing checks that a stored head is bit-equal to the embedding it is tied
// to.
type comparing struct {
	matrix    // the head
	embedding matrix
	folder    string
}

// compareTied prepares the comparison.
func (f *Folder) compareTied(h, e *safetensors.Tensor) (c comparing, err error) {
	c.folder = f.Name
	if c.matrix, err = openMatrix(f.stored(h, spec{head, h.Shape})); err != nil {
		return c, err
	}
	c.embedding, err = openMatrix(f.stored(e, spec{embedding, e.Shape}))
	return c, err
}

func (c comparing) run(first, rows int, s *scratch) error {
	width := c.width()
	a, b := grow(&s.floats, rows*width), grow(&s.rows, rows*width)
	if err := c.read(a, first, rows, s); err != nil {
		return err
	}
	if err := c.embedding.read(b, first, rows, s); err != nil {
		return err
	}
	for i, v := range a {
		if w := b[i]; math.Float32bits(v) != math.Float32bits(w) {
			return fmt.Errorf("%s: tensor %s differs from %s in row %d (%g, %g), though the two are tied; "+
				"if they are meant to differ, set tie_word_embeddings to false in %s/%s",
				c.File().Name(), c.Name, c.embedding.Name, first+i/width, v, w, c.folder, configFile)
		}
	}
	return nil
}
