package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// Linear returns x·Wᵀ + b.
//
//	x  [rows, in]
//	w  [out, in]; may be frozen
//	b  [out, 1]
func Linear(ws *Workspace, x, w, b mat.Tensor) mat.Tensor {
	return run(&linear{ws: ws, x: x, w: w, b: b})
}

type linear struct {
	ws      *Workspace
	x, w, b mat.Tensor
}

func (o *linear) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.w, o.b} }

func (o *linear) Forward() (mat.Tensor, error) {
	x, w, b := asTensor(o.x), asTensor(o.w), asTensor(o.b)
	y := o.ws.New(x.rows, w.rows)
	o.ws.project(y.data, x.data, w, b.data, x.rows)
	return y, nil
}

// project computes y[rows, out] = x[rows, in]·Wᵀ + bias with whichever layout
// the weight has. The results of layouts are bit-equal.
func (ws *Workspace) project(y, x []float32, w *Tensor, bias []float32, rows int) {
	switch {
	case w.packed != nil:
		kernels.LinearPacked(ws.pool, y, x, w.packed, bias, rows)
	case ws.bfloat16:
		kernels.LinearBFloat16(ws.pool, y, x, w.data, bias, rows, w.rows, w.cols)
	default:
		kernels.Linear(ws.pool, y, x, w.data, bias, rows, w.rows, w.cols)
	}
}

// weightGradient adds dyᵀ·x to the gradient of w.
func (ws *Workspace) weightGradient(w *Tensor, dy, x []float32, rows int) {
	f := kernels.LinearGradWeight
	if ws.bfloat16 {
		f = kernels.LinearGradWeightBFloat16
	}
	f(ws.pool, w.grad.data, dy, x, rows, w.rows, w.cols)
}

// inputGradient sets dx = dy·W.
func (ws *Workspace) inputGradient(dx, dy []float32, w *Tensor, rows int) {
	f := kernels.LinearGradInput
	if ws.bfloat16 {
		f = kernels.LinearGradInputBFloat16
	}
	f(ws.pool, dx, dy, w.data, rows, w.rows, w.cols, false)
}

func (o *linear) Backward(gy mat.Tensor) error {
	x, w, b, g := asTensor(o.x), asTensor(o.w), asTensor(o.b), asTensor(gy)
	if b.grad != nil {
		kernels.ColumnSums(o.ws.pool, b.grad.data, g.data, x.rows, w.rows)
	}
	if w.grad != nil {
		o.ws.weightGradient(w, g.data, x.data, x.rows)
	}
	dx := o.ws.New(x.rows, w.cols)
	o.ws.inputGradient(dx.data, g.data, w, x.rows)
	g.release()
	o.x.AccGrad(dx)
	return nil
}
