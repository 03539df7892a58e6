package ops

import (
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// TestRecompute compares a block with the same block computed twice: the bits
// of its value and of all gradients, and the memory in use between forward and
// backward.
func TestRecompute(t *testing.T) {
	const rows, width = 40, 24
	block := func(ws *Workspace, x mat.Tensor, in []*Tensor) mat.Tensor {
		inner := GELU(ws, Linear(ws, LayerNorm(ws, x, in[1], in[2], 1e-5), in[3], in[4]))
		return Add(ws, x, Linear(ws, inner, in[5], in[6]))
	}
	shapes := [][2]int{{rows, width}, {width, 1}, {width, 1}, {4 * width, width}, {4 * width, 1}, {width, 4 * width}, {width, 1}}
	compute := func(twice bool) (value []float32, grads [][]float32, used int) {
		ws, params := NewWorkspace(nil), []*Tensor(nil)
		params, _ = inputs(shapes, 5)
		x := GELU(ws, params[0]) // a node, whose gradient goes on
		for range 2 {
			if !twice {
				x = block(ws, x, params)
				continue
			}
			var weights []mat.Tensor
			for _, p := range params[1:] {
				weights = append(weights, p)
			}
			x = Recompute(ws, x, weights, func(x mat.Tensor) mat.Tensor { return block(ws, x, params) })
		}
		for _, b := range ws.live {
			if b.used {
				used += len(b.data)
			}
		}
		value = append(value, asTensor(x).data...)
		g := ws.New(rows, width)
		copy(g.data, randoms(rows*width, 9))
		x.AccGrad(g)
		if err := ag.Backward(x); err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			grads = append(grads, p.Gradient())
		}
		return value, grads, used
	}
	value, grads, used := compute(false)
	again, gradsAgain, usedAgain := compute(true)
	for i := range value {
		if value[i] != again[i] {
			t.Fatalf("element %d is %v, recomputed %v", i, value[i], again[i])
		}
	}
	for p := range grads {
		for i := range grads[p] {
			if grads[p][i] != gradsAgain[p][i] {
				t.Fatalf("gradient of input %d: element %d is %v, recomputed %v", p, i, grads[p][i], gradsAgain[p][i])
			}
		}
	}
	if most := 4 * capacity(rows*width); usedAgain > most || usedAgain*4 > used {
		t.Errorf("%d floats are kept for the way back, %d without recomputing; at most %d expected", usedAgain, used, most)
	}
}
