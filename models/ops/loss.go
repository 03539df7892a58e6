package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// lossRows is how many rows have their logits in memory at once.
const lossRows = 256

// Loss is the LM head and the cross-entropy of its logits in one operator:
// scale · Σ weight·(-log softmax(x·Wᵀ)[target]) over the rows whose weight is
// not zero.
//
// Logits of all rows would need rows × vocabulary floats, more than the rest
// of the step together; so they are computed a few hundred rows at a time and
// turned into the gradients of x and W on the spot, as in Hsu et al. (2024),
// section 3.2. The price: this operator must be the root of the graph (the
// gradient it gets is 1), and the weight's gradient is complete after Forward.
type Loss struct {
	ws      *Workspace
	x, w    mat.Tensor
	targets []int32
	weights []float32
	scale   float32
	train   bool

	dx *Tensor

	// Sum is the unscaled sum of the weighted losses, Weight the sum of the
	// weights, once the operator has run. Nats, when given, receives each row's
	// weighted loss.
	Sum, Weight float64
	Nats        []float64
}

// NewLoss prepares the operator; Run puts it on the graph.
//
//	x        [rows, width]
//	w        [vocab, width]
//	targets  one id for each row
//	weights  one for each row; a row of weight 0 costs nothing
func NewLoss(ws *Workspace, x, w mat.Tensor, targets []int32, weights []float32, scale float32) *Loss {
	return &Loss{ws: ws, x: x, w: w, targets: targets, weights: weights, scale: scale}
}

// Run computes the loss; with train set its gradients as well.
func (o *Loss) Run(train bool) mat.Tensor {
	o.train = train
	return run(o)
}

// Operands returns the hidden state and the head's weight.
func (o *Loss) Operands() []mat.Tensor { return []mat.Tensor{o.x, o.w} }

// Forward computes the loss, a [1, 1] tensor.
func (o *Loss) Forward() (mat.Tensor, error) {
	x, w := asTensor(o.x), asTensor(o.w)
	rows := o.counted()
	if o.train {
		o.dx = o.ws.New(x.rows, x.cols)
		clear(o.dx.data)
	}
	hidden := o.ws.New(min(lossRows, len(rows)), x.cols)
	logits := o.ws.New(hidden.rows, w.rows)
	nats := make([]float64, hidden.rows)
	for ; len(rows) > 0; rows = rows[min(lossRows, len(rows)):] {
		o.chunk(x, w, rows[:min(lossRows, len(rows))], hidden, logits, nats)
	}
	hidden.release()
	logits.release()
	y := o.ws.New(1, 1)
	y.data[0] = float32(o.Sum) * o.scale
	return y, nil
}

// counted lists the rows whose weight is not zero.
func (o *Loss) counted() []int {
	rows := make([]int, 0, len(o.weights))
	for i, weight := range o.weights {
		if weight != 0 {
			rows = append(rows, i)
			o.Weight += float64(weight)
		}
	}
	return rows
}

// chunk adds the loss of some rows, and their gradients when training.
func (o *Loss) chunk(x, w *Tensor, rows []int, hidden, logits *Tensor, nats []float64) {
	pool, width, vocab := o.ws.pool, x.cols, w.rows
	for i, r := range rows {
		copy(hidden.data[i*width:(i+1)*width], x.data[r*width:(r+1)*width])
	}
	o.ws.project(logits.data, hidden.data, w, nil, len(rows))
	pool.Run(len(rows), func(i, _ int) {
		row, r := logits.data[i*vocab:(i+1)*vocab], rows[i]
		if o.train {
			loss := kernels.CrossEntropyRow(row, o.targets[r], o.weights[r]*o.scale)
			nats[i] = loss / float64(o.scale)
			return
		}
		nats[i] = float64(o.weights[r]) * kernels.CrossEntropyLoss(row, o.targets[r])
	})
	for i, r := range rows {
		o.Sum += nats[i]
		if o.Nats != nil {
			o.Nats[r] = nats[i]
		}
	}
	if !o.train {
		return
	}
	if w.grad != nil {
		o.ws.weightGradient(w, logits.data, hidden.data, len(rows))
	}
	o.ws.inputGradient(hidden.data, logits.data, w, len(rows))
	for i, r := range rows {
		copy(o.dx.data[r*width:(r+1)*width], hidden.data[i*width:(i+1)*width])
	}
}

// Backward hands on the gradient that Forward computed.
func (o *Loss) Backward(mat.Tensor) error {
	o.x.AccGrad(o.dx)
	return nil
}

// Logits writes x·Wᵀ to dst, [rows, vocab]: what a reply is sampled from. It
// is not an operator, because nothing is derived from it.
func Logits(ws *Workspace, x, w mat.Tensor, dst []float32) {
	h := asTensor(x)
	ws.project(dst, h.data, asTensor(w), nil, h.rows)
}
