package ops

import (
	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// run puts a function on the graph. It is computed at once.
func run(f ag.AutoGradFunction) mat.Tensor {
	return ag.NewOperator(f).Run()
}

// Add returns the residual connection x + f, both [rows, width].
func Add(ws *Workspace, x, f mat.Tensor) mat.Tensor {
	return run(&add{ws: ws, x: x, f: f})
}

type add struct {
	ws   *Workspace
	x, f mat.Tensor
}

func (o *add) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.f} }

func (o *add) Forward() (mat.Tensor, error) {
	x, f := asTensor(o.x), asTensor(o.f)
	y := o.ws.New(x.rows, x.cols)
	kernels.Add(o.ws.pool, y.data, x.data, f.data)
	return y, nil
}

// Backward gives both operands the same memory: x as its owner, f to read.
// f's branch ends in a layer norm that adds its own share to x, and by then
// the branch has read what it was given.
func (o *add) Backward(gy mat.Tensor) error {
	g := asTensor(gy)
	view := g.view()
	o.x.AccGrad(g)
	o.f.AccGrad(view)
	return nil
}

// GELU returns 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), the approximation
// of Hendrycks and Gimpel (2016), section 2, that GPT-2 uses.
func GELU(ws *Workspace, x mat.Tensor) mat.Tensor {
	return run(&activation{ws: ws, x: x, forward: kernels.GELU, backward: kernels.GELUBackward})
}

// GELUErf returns x·Φ(x) with the normal distribution Φ, the exact form of
// Hendrycks and Gimpel (2016), section 2, that BERT uses.
func GELUErf(ws *Workspace, x mat.Tensor) mat.Tensor {
	return run(&activation{ws: ws, x: x, forward: kernels.GELUErf, backward: kernels.GELUErfBackward})
}

// activation is a function of each element.
type activation struct {
	ws       *Workspace
	x        mat.Tensor
	forward  func(p *kernels.Pool, y, x []float32)
	backward func(p *kernels.Pool, dx, dy, x []float32)
}

func (o *activation) Operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *activation) Forward() (mat.Tensor, error) {
	x := asTensor(o.x)
	y := o.ws.New(x.rows, x.cols)
	o.forward(o.ws.pool, y.data, x.data)
	return y, nil
}

func (o *activation) Backward(gy mat.Tensor) error {
	x, g := asTensor(o.x), asTensor(gy)
	dx := o.ws.New(x.rows, x.cols)
	o.backward(o.ws.pool, dx.data, g.data, x.data)
	g.release()
	o.x.AccGrad(dx)
	return nil
}

// Gather returns the given rows of x, in that order. A row may be asked for
// more than once.
func Gather(ws *Workspace, x mat.Tensor, rows []int) mat.Tensor {
	return run(&gather{ws: ws, x: x, rows: rows})
}

type gather struct {
	ws   *Workspace
	x    mat.Tensor
	rows []int
}

func (o *gather) Operands() []mat.Tensor { return []mat.Tensor{o.x} }

func (o *gather) Forward() (mat.Tensor, error) {
	x := asTensor(o.x)
	y := o.ws.New(len(o.rows), x.cols)
	for i, r := range o.rows {
		copy(y.data[i*x.cols:(i+1)*x.cols], x.data[r*x.cols:(r+1)*x.cols])
	}
	return y, nil
}

func (o *gather) Backward(gy mat.Tensor) error {
	x, g := asTensor(o.x), asTensor(gy)
	dx := o.ws.New(x.rows, x.cols)
	clear(dx.data)
	for i, r := range o.rows {
		kernels.Axpy(1, g.data[i*x.cols:(i+1)*x.cols], dx.data[r*x.cols:(r+1)*x.cols])
	}
	g.release()
	o.x.AccGrad(dx)
	return nil
}
