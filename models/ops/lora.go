package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// LowRank is a change of a linear layer's weight W by a matrix of low rank,
// scale·Bᵀ·A, that is trained in W's place: LoRA, Hu et al. (2022), section
// 4.1. Because the product is never formed, one weight in memory serves rows
// with different changes.
type LowRank struct {
	A     *Tensor // [rank, in]
	B     *Tensor // [rank, out], the transpose of the paper's B
	Scale float32 // the paper's alpha/rank
}

// Rank is the number of rows of both factors.
func (l *LowRank) Rank() int { return l.A.rows }

// Adapted is a run of rows of a batch that see a change beside the weight.
type Adapted struct {
	First, Rows int
	Change      *LowRank
	Dropout     Dropout // of what the change reads; the weight reads all of it
}

// AdaptedLinear is Linear with changes for some rows:
//
//	y = x·Wᵀ + b + scale·(dropout(x)·Aᵀ)·B
//
// The last product continues the chain of the first, so that a row's result
// does not depend on which changes other rows have. groups must not overlap
// and must stay as they are until Backward has run.
func AdaptedLinear(ws *Workspace, x, w, b mat.Tensor, groups []Adapted) mat.Tensor {
	return run(&adaptedLinear{ws: ws, x: x, w: w, b: b, groups: groups})
}

type adaptedLinear struct {
	ws      *Workspace
	x, w, b mat.Tensor
	groups  []Adapted

	inner []*Tensor // scale·dropout(x)·Aᵀ of each group, [rows, rank]
}

func (o *adaptedLinear) Operands() []mat.Tensor {
	all := []mat.Tensor{o.x, o.w, o.b}
	for _, g := range o.groups {
		all = append(all, g.Change.A, g.Change.B)
	}
	return all
}

func (o *adaptedLinear) Forward() (mat.Tensor, error) {
	x, w, b := asTensor(o.x), asTensor(o.w), asTensor(o.b)
	y := o.ws.New(x.rows, w.rows)
	o.ws.project(y.data, x.data, w, b.data, x.rows)
	for _, g := range o.groups {
		o.inner = append(o.inner, o.change(g, x, y))
	}
	return y, nil
}

// change adds a group's share to its rows of y.
func (o *adaptedLinear) change(g Adapted, x, y *Tensor) *Tensor {
	pool, c, rank := o.ws.pool, g.Change, g.Change.Rank()
	in, masked := o.input(g, x)
	t := o.ws.New(g.Rows, rank)
	kernels.Linear(pool, t.data, in, c.A.data, nil, g.Rows, rank, x.cols)
	kernels.Scale(c.Scale, t.data)
	kernels.LinearGradInput(pool, g.of(y), t.data, c.B.data, g.Rows, rank, y.cols, true)
	masked.release()
	return t
}

// of is the rows of a group in a matrix.
func (g Adapted) of(t *Tensor) []float32 {
	return t.data[g.First*t.cols : (g.First+g.Rows)*t.cols]
}

// input is what the change of a group reads, and the memory it is in if that
// is not x's own.
func (o *adaptedLinear) input(g Adapted, x *Tensor) (in []float32, masked *Tensor) {
	if !g.Dropout.on() {
		return g.of(x), &Tensor{}
	}
	masked = o.ws.New(g.Rows, x.cols)
	g.Dropout.apply(o.ws.pool, masked.data, g.of(x), g.First*x.cols)
	return masked.data, masked
}

// Backward leaves the gradient of x out when nothing below x is trained.
func (o *adaptedLinear) Backward(gy mat.Tensor) error {
	x, w, b, g := asTensor(o.x), asTensor(o.w), asTensor(o.b), asTensor(gy)
	if b.grad != nil {
		kernels.ColumnSums(o.ws.pool, b.grad.data, g.data, x.rows, w.rows)
	}
	if w.grad != nil {
		o.ws.weightGradient(w, g.data, x.data, x.rows)
	}
	var dx *Tensor
	if o.x.RequiresGrad() {
		dx = o.ws.New(x.rows, w.cols)
		o.ws.inputGradient(dx.data, g.data, w, x.rows)
	}
	for i, group := range o.groups {
		o.changeBackward(group, o.inner[i], x, dx, g)
	}
	g.release()
	if dx != nil {
		o.x.AccGrad(dx)
	}
	return nil
}

// changeBackward adds the gradients of a group's factors, and of its rows of x
// unless dx is nil. With t = scale·x·Aᵀ and dt = scale·dy·Bᵀ,
//
//	dB += tᵀ·dy,  dA += dtᵀ·x,  dx += dt·A.
func (o *adaptedLinear) changeBackward(g Adapted, t, x, dx, dy *Tensor) {
	pool, c, rank := o.ws.pool, g.Change, g.Change.Rank()
	dt := o.ws.New(g.Rows, rank)
	kernels.Linear(pool, dt.data, g.of(dy), c.B.data, nil, g.Rows, rank, dy.cols)
	kernels.Scale(c.Scale, dt.data)
	if c.B.grad != nil {
		kernels.LinearGradWeight(pool, c.B.grad.data, t.data, g.of(dy), g.Rows, rank, dy.cols)
	}
	if c.A.grad != nil {
		in, masked := o.input(g, x)
		kernels.LinearGradWeight(pool, c.A.grad.data, dt.data, in, g.Rows, rank, x.cols)
		masked.release()
	}
	if dx != nil {
		o.inputGradient(g, dt, dx)
	}
	dt.release()
	t.release()
}

// inputGradient adds dt·A, through the dropout, to a group's rows of dx.
func (o *adaptedLinear) inputGradient(g Adapted, dt, dx *Tensor) {
	pool, c := o.ws.pool, g.Change
	if !g.Dropout.on() {
		kernels.LinearGradInput(pool, g.of(dx), dt.data, c.A.data, g.Rows, c.Rank(), dx.cols, true)
		return
	}
	d := o.ws.New(g.Rows, dx.cols)
	kernels.LinearGradInput(pool, d.data, dt.data, c.A.data, g.Rows, c.Rank(), dx.cols, false)
	g.Dropout.apply(pool, d.data, d.data, g.First*dx.cols)
	kernels.Add(pool, g.of(dx), g.of(dx), d.data)
	d.release()
}
