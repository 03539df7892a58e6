package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// LayerNorm returns (x-mean)/√(variance+eps)·gamma + beta with mean and
// (biased) variance of each row: Ba, Kiros and Hinton (2016), equation 4.
//
//	x            [rows, width]
//	gamma, beta  [width, 1]
func LayerNorm(ws *Workspace, x, gamma, beta mat.Tensor, eps float32) mat.Tensor {
	return run(&layerNorm{ws: ws, x: x, gamma: gamma, beta: beta, eps: eps})
}

type layerNorm struct {
	ws             *Workspace
	x, gamma, beta mat.Tensor
	eps            float32

	stats *Tensor // [2, rows]: means, then reciprocal standard deviations
}

func (o *layerNorm) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.gamma, o.beta} }

func (o *layerNorm) Forward() (mat.Tensor, error) {
	x, gamma, beta := asTensor(o.x), asTensor(o.gamma), asTensor(o.beta)
	y := o.ws.New(x.rows, x.cols)
	o.stats = o.ws.New(2, x.rows)
	mean, rstd := o.stats.data[:x.rows], o.stats.data[x.rows:]
	kernels.LayerNorm(o.ws.pool, y.data, mean, rstd, x.data, gamma.data, beta.data, x.rows, x.cols, o.eps)
	return y, nil
}

// Backward adds into the gradient x already has from the residual connection.
func (o *layerNorm) Backward(gy mat.Tensor) error {
	x, gamma, beta, g := asTensor(o.x), asTensor(o.gamma), asTensor(o.beta), asTensor(gy)
	dx := x.grad
	if dx == nil {
		dx = o.ws.New(x.rows, x.cols)
		clear(dx.data)
	}
	dgamma, dbeta := gradientOr(o.ws, gamma), gradientOr(o.ws, beta)
	mean, rstd := o.stats.data[:x.rows], o.stats.data[x.rows:]
	kernels.LayerNormBackward(o.ws.pool, dx.data, dgamma, dbeta, g.data, x.data, mean, rstd, gamma.data, x.rows, x.cols)
	g.release()
	o.x.AccGrad(dx)
	return nil
}

// AddNorm returns the layer norm of x + f: a residual connection with the norm
// behind it (post-norm), as in Vaswani et al. (2017), section 3.1, and BERT.
//
//	x, f         [rows, width]
//	gamma, beta  [width, 1]
func AddNorm(ws *Workspace, x, f, gamma, beta mat.Tensor, eps float32) mat.Tensor {
	return run(&addNorm{ws: ws, x: x, f: f, gamma: gamma, beta: beta, eps: eps})
}

type addNorm struct {
	ws                *Workspace
	x, f, gamma, beta mat.Tensor
	eps               float32

	stats *Tensor // [2, rows]: means, then reciprocal standard deviations
}

func (o *addNorm) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.f, o.gamma, o.beta} }

func (o *addNorm) Forward() (mat.Tensor, error) {
	x, f, gamma, beta := asTensor(o.x), asTensor(o.f), asTensor(o.gamma), asTensor(o.beta)
	y := o.ws.New(x.rows, x.cols)
	o.stats = o.ws.New(2, x.rows)
	mean, rstd := o.stats.data[:x.rows], o.stats.data[x.rows:]
	kernels.AddLayerNorm(o.ws.pool, y.data, mean, rstd, x.data, f.data, gamma.data, beta.data, x.rows, x.cols, o.eps)
	return y, nil
}

// Backward adds x and f again, as their sum is not kept. Both get the same
// gradient: x as its owner, f to read. What f's branch ends in adds its own
// share to x, and by then the branch has read what it was given.
func (o *addNorm) Backward(gy mat.Tensor) error {
	x, f, gamma, beta, g := asTensor(o.x), asTensor(o.f), asTensor(o.gamma), asTensor(o.beta), asTensor(gy)
	sum, d := o.ws.New(x.rows, x.cols), o.ws.New(x.rows, x.cols)
	kernels.Add(o.ws.pool, sum.data, x.data, f.data)
	clear(d.data)
	dgamma, dbeta := gradientOr(o.ws, gamma), gradientOr(o.ws, beta)
	mean, rstd := o.stats.data[:x.rows], o.stats.data[x.rows:]
	kernels.LayerNormBackward(o.ws.pool, d.data, dgamma, dbeta, g.data, sum.data, mean, rstd, gamma.data, x.rows, x.cols)
	sum.release()
	g.release()
	view := d.view()
	o.x.AccGrad(d)
	o.f.AccGrad(view)
	return nil
}

// gradientOr returns where the gradient of a parameter goes: its own buffer,
// or memory that nobody reads when it is not trained.
func gradientOr(ws *Workspace, p *Tensor) []float32 {
	if p.grad != nil {
		return p.grad.data
	}
	unread := ws.New(p.rows, p.cols)
	clear(unread.data)
	return unread.data
}
