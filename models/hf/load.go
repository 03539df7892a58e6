package hf

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// maxProblems is how many problems of a folder one error lists.
const maxProblems = 20

// LoadInto reads the weights into params, the parameters of a model of
// Config.Model's shape, using all cores. Every tensor is checked first, so an
// ill-fitting folder leaves params as they were; after an error while reading
// their values are undefined.
func (f *Folder) LoadInto(params []gpt2.Param) error {
	if err := checkParams(params); err != nil {
		return err
	}
	tensors, err := f.match(specsOf(params))
	if err != nil {
		return err
	}
	var pieces []piece
	for i, p := range params {
		if !tensors[i].DType.IsFloat() {
			return tensors[i].ReadFloats(p.Data, 0) // says so
		}
		pieces = appendPieces(pieces, loading{tensors[i], p.Data, p.Conv1D})
	}
	if h, e := f.tensors[head], f.tensors[embedding]; h != nil && e != nil && !slices.Contains(tensors, h) {
		pieces = appendPieces(pieces, comparing{h, e, f.Name})
	}
	return runPieces(pieces)
}

// checkParams catches parameters that cannot be filled or written: those of a
// model laid out for serving have no memory.
func checkParams(params []gpt2.Param) error {
	for _, p := range params {
		n := 1
		for _, d := range p.Shape {
			n *= d
		}
		if n != len(p.Data) {
			return fmt.Errorf("parameter %s of shape %d has %d values", p.Name, p.Shape, len(p.Data))
		}
		if p.Conv1D && len(p.Shape) != 2 {
			return fmt.Errorf("parameter %s of shape %d is no matrix", p.Name, p.Shape)
		}
	}
	return nil
}

// match finds the tensor of each spec. Missing, ill-shaped and superfluous
// tensors are reported together.
func (f *Folder) match(specs iter.Seq[spec]) ([]*safetensors.Tensor, error) {
	var found []*safetensors.Tensor
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
		}
		if p.more { // a hostile configuration may have millions of layers
			return nil, p.err()
		}
		found = append(found, t)
	}
	if f.tensors[embedding] == nil && known[head] {
		p.add("%s: tensor %s is missing", f.weights, storedName(embedding))
	}
	for _, t := range f.order {
		name, skip := canonical(t.Name)
		switch {
		case skip, known[name]:
		case name == head: // a tied head, stored all the same
			if e := f.tensors[embedding]; e != nil && !slices.Equal(t.Shape, e.Shape) {
				p.add("%s: tensor %s has shape %d, but %s, to which it is tied, has %d", t.File().Name(), t.Name, t.Shape, e.Name, e.Shape)
			}
		default:
			p.add("%s: tensor %s of shape %d has no place in the model", t.File().Name(), t.Name, t.Shape)
		}
	}
	return found, p.err()
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

// pieceSize is about how many values one piece of work has: enough to be worth
// handing out, few enough that its values stay in the cache.
const pieceSize = 1 << 17

// job is work on the rows of a tensor; rows may be worked on at the same time.
type job interface {
	shape() (rows, width int)
	run(first, rows int, scratch *[]float32) error
}

// piece is a span of a job's rows.
type piece struct {
	job         job
	first, rows int
}

func appendPieces(pieces []piece, j job) []piece {
	rows, width := j.shape()
	step := max(1, pieceSize/max(1, width))
	for first := 0; first < rows; first += step {
		pieces = append(pieces, piece{j, first, min(step, rows-first)})
	}
	return pieces
}

// runPieces works on all cores and returns the first error.
func runPieces(pieces []piece) error {
	var group errgroup.Group
	var next atomic.Int64
	for range min(runtime.GOMAXPROCS(0), len(pieces)) {
		group.Go(func() error {
			var scratch []float32
			for {
				i := int(next.Add(1)) - 1
				if i >= len(pieces) {
					return nil
				}
				p := pieces[i]
				if err := p.job.run(p.first, p.rows, &scratch); err != nil {
					next.Store(int64(len(pieces))) // the others stop too
					return err
				}
			}
		})
	}
	return group.Wait()
}

// loading reads a tensor into a parameter.
type loading struct {
	tensor    *safetensors.Tensor
	dst       []float32
	transpose bool // the tensor is [in, out], dst [out, in]
}

func (l loading) shape() (rows, width int) {
	if len(l.tensor.Shape) == 2 {
		return l.tensor.Shape[0], l.tensor.Shape[1]
	}
	return l.tensor.Len(), 1
}

func (l loading) run(first, rows int, scratch *[]float32) error {
	all, width := l.shape()
	var block []float32
	if l.transpose {
		block = grow(scratch, rows*width)
	} else {
		block = l.dst[first*width : (first+rows)*width]
	}
	if err := l.tensor.ReadFloats(block, first*width); err != nil {
		return err
	}
	if i := notFinite(block); i >= 0 {
		return fmt.Errorf("%s: tensor %s: value %d is %g: the file is damaged, or its training diverged",
			l.tensor.File().Name(), l.tensor.Name, first*width+i, block[i])
	}
	if l.transpose {
		transpose(l.dst[first:], all, block, rows, width)
	}
	return nil
}

// notFinite is the index of the first infinity or NaN, or -1.
func notFinite(values []float32) int {
	const exponent = 0x7f800000
	for i, v := range values {
		if math.Float32bits(v)&exponent == exponent {
			return i
		}
	}
	return -1
}

// comparing checks that a stored head is bit-equal to the embedding it is tied
// to.
type comparing struct {
	head, embedding *safetensors.Tensor
	folder          string
}

func (c comparing) shape() (rows, width int) { return c.head.Shape[0], c.head.Shape[1] }

func (c comparing) run(first, rows int, scratch *[]float32) error {
	_, width := c.shape()
	n := rows * width
	both := grow(scratch, 2*n)
	if err := c.head.ReadFloats(both[:n], first*width); err != nil {
		return err
	}
	if err := c.embedding.ReadFloats(both[n:], first*width); err != nil {
		return err
	}
	for i, v := range both[:n] {
		if w := both[n+i]; math.Float32bits(v) != math.Float32bits(w) {
			return fmt.Errorf("%s: tensor %s differs from %s in row %d (%g, %g), though the two are tied; "+
				"if they are meant to differ, set tie_word_embeddings to false in %s/%s",
				c.head.File().Name(), c.head.Name, c.embedding.Name, first+i/width, v, w, c.folder, configFile)
		}
	}
	return nil
}

// grow gives the first n values of a scratch buffer, enlarged if need be.
func grow(scratch *[]float32, n int) []float32 {
	if cap(*scratch) < n {
		*scratch = make([]float32, n)
	}
	return (*scratch)[:n]
}

// transpose writes src [rows, cols] as dst[c*stride+r]. It goes down narrow
// strips of columns, so that the lines it reads stay in the nearest cache.
func transpose(dst []float32, stride int, src []float32, rows, cols int) {
	const strip = 16 // one cache line
	for from := 0; from < cols; from += strip {
		for c := from; c < min(from+strip, cols); c++ {
			column := dst[c*stride:][:rows]
			for r := range column {
				column[r] = src[r*cols+c]
			}
		}
	}
}
