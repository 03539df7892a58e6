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
	project(o.ws.pool, y.data, x.data, w, b.data, x.rows)
	return y, nil
}

// project computes y[rows, out] = x[rows, in]·Wᵀ + bias with whichever layout
// the weight has. The results are bit-equal.
func project(pool *kernels.Pool, y, x []float32, w *Tensor, bias []float32, rows int) {
	if w.packed != nil {
		kernels.LinearPacked(pool, y, x, w.packed, bias, rows)
		return
	}
	kernels.Linear(pool, y, x, w.data, bias, rows, w.rows, w.cols)
}

func (o *linear) Backward(gy mat.Tensor) error {
	x, w, b, g := asTensor(o.x), asTensor(o.w), asTensor(o.b), asTensor(gy)
	pool, m, n, k := o.ws.pool, x.rows, w.rows, w.cols
	if b.grad != nil {
		kernels.ColumnSums(pool, b.grad.data, g.data, m, n)
	}
	if w.grad != nil {
		kernels.LinearGradWeight(pool, w.grad.data, g.data, x.data, m, n, k)
	}
	dx := o.ws.New(m, k)
	kernels.LinearGradInput(pool, dx.data, g.data, w.data, m, n, k, false)
	g.release()
	o.x.AccGrad(dx)
	return nil
}
