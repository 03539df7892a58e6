package gpt2

import (
	"fmt"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
	"causerie/models/ops"
)

// Runner computes with a model: it holds the memory of one graph and the
// threads that fill it. A Runner belongs to one goroutine at a time; several
// may share a model that is not being trained.
type Runner struct {
	model *Model
	ws    *ops.Workspace
	batch batch

	precision kernels.DType // of LossAndGrad's products
}

// NewRunner returns a runner on the given threads; nil means the caller's
// goroutine.
func NewRunner(m *Model, pool *kernels.Pool) *Runner {
	return &Runner{model: m, ws: ops.NewWorkspace(pool)}
}

// SetPrecision says what LossAndGrad rounds the operands of matrix products to:
// kernels.Float32, the default, which rounds nothing, or kernels.BFloat16, which
// takes half the time where the processor has instructions for it. Attention,
// norms, sums and gradients stay float32, and so does everything that is no
// training: Loss measures what the float32 weights are worth.
func (r *Runner) SetPrecision(d kernels.DType) { r.precision = d }

// SetRecompute says whether blocks keep nothing but their input for the way
// back, where LossAndGrad then computes the rest again: less memory for more
// time, and the same bits. What has no way back takes no longer.
func (r *Runner) SetRecompute(on bool) { r.batch.recompute = on }

// Model returns the model this runner computes with.
func (r *Runner) Model() *Model { return r.model }

// Logits runs the segments through the model and writes the logits of the
// given rows to dst, [len(rows), vocab]. Rows count through all segments:
// the last row of the first segment is len(Tokens)-1. Segments with a cache
// have their tokens appended to it; when an error is returned no cache has
// changed.
//
// A row's logits are bit-equal whatever else is in the batch, however the
// sequence was cut into calls, and with any number of threads.
func (r *Runner) Logits(segments []Segment, rows []int, dst []float32) error {
	return r.Step(segments, Outputs{LogitRows: rows, Logits: dst})
}

// Hidden runs whole sequences through the model and writes what the LM head
// would read, the last layer norm of every token, to dst, [rows, width]. A
// row's values are bit-equal whatever else is in the batch.
func (r *Runner) Hidden(segments []Segment, dst []float32) error {
	rows := 0
	for i, s := range segments {
		if s.Cache != nil {
			return fmt.Errorf("gpt2: segment %d: a sequence to be embedded has no cache", i)
		}
		rows += len(s.Tokens)
	}
	all := make([]int, rows)
	for i := range all {
		all[i] = i
	}
	return r.Step(segments, Outputs{HiddenRows: all, Hidden: dst})
}

// LossSum is a sum of weighted negative log-likelihoods in nats.
type LossSum struct {
	Sum    float64 // Σ weight·(-log p(target))
	Weight float64 // Σ weight
}

// Mean is the loss per unit of weight, in nats; 0 when nothing was counted.
func (l LossSum) Mean() float64 {
	if l.Weight == 0 {
		return 0
	}
	return l.Sum / l.Weight
}

// Add returns the sum of both.
func (l LossSum) Add(o LossSum) LossSum {
	return LossSum{Sum: l.Sum + o.Sum, Weight: l.Weight + o.Weight}
}

// Loss computes the loss of the segments: targets and weights hold one entry
// for each row, the id that follows it and how much it counts (0: not at all).
func (r *Runner) Loss(segments []Segment, targets []int32, weights []float32) (LossSum, error) {
	defer r.ws.Reset()
	loss, err := r.loss(segments, targets, weights, 1)
	if err != nil {
		return LossSum{}, err
	}
	loss.Run(false)
	return LossSum{Sum: loss.Sum, Weight: loss.Weight}, nil
}

// RowLosses is Loss that also writes each row's weighted loss to nats, one
// entry for each row; rows of weight 0 get 0.
func (r *Runner) RowLosses(segments []Segment, targets []int32, weights []float32, nats []float64) (LossSum, error) {
	defer r.ws.Reset()
	loss, err := r.loss(segments, targets, weights, 1)
	if err != nil {
		return LossSum{}, err
	}
	if len(nats) != len(targets) {
		return LossSum{}, fmt.Errorf("gpt2: room for %d losses of %d rows", len(nats), len(targets))
	}
	clear(nats)
	loss.Nats = nats
	loss.Run(false)
	return LossSum{Sum: loss.Sum, Weight: loss.Weight}, nil
}

// LossAndGrad is Loss that also adds scale·∂Sum/∂θ to the Grad of every
// parameter θ that has one, the model's or an adapter's. The segments must be
// whole sequences (no cache), and the model or an adapter of theirs trainable.
// scale must not be 0.
func (r *Runner) LossAndGrad(segments []Segment, targets []int32, weights []float32, scale float32) (LossSum, error) {
	defer r.ws.Reset()
	if err := r.canTrain(segments, scale); err != nil {
		return LossSum{}, err
	}
	r.batch.training = true
	r.ws.SetPrecision(r.precision)
	defer func() {
		r.batch.training = false
		r.ws.SetPrecision(kernels.Float32)
	}()
	loss, err := r.loss(segments, targets, weights, scale)
	if err != nil {
		return LossSum{}, err
	}
	if err := ag.Backward(loss.Run(true)); err != nil {
		return LossSum{}, fmt.Errorf("gpt2: backward: %w", err)
	}
	return LossSum{Sum: loss.Sum, Weight: loss.Weight}, nil
}

// canTrain checks that the segments have gradients.
func (r *Runner) canTrain(segments []Segment, scale float32) error {
	for i, s := range segments {
		if s.Cache != nil {
			return fmt.Errorf("gpt2: segment %d: a sequence with a cache cannot be trained on", i)
		}
	}
	if scale == 0 {
		return fmt.Errorf("gpt2: the scale of the gradient is 0")
	}
	return r.model.hasGradients(segments)
}

// loss checks the batch and runs it up to the loss operator.
func (r *Runner) loss(segments []Segment, targets []int32, weights []float32, scale float32) (*ops.Loss, error) {
	x, err := r.learnt(segments, targets, weights)
	if err != nil {
		return nil, err
	}
	return ops.NewLoss(r.ws, x, r.model.head(), targets, weights, scale), nil
}

// learnt checks a batch with targets and runs it up to what the LM head reads.
func (r *Runner) learnt(segments []Segment, targets []int32, weights []float32) (mat.Tensor, error) {
	m := r.model
	if err := m.layout(&r.batch, segments); err != nil {
		return nil, err
	}
	rows := len(r.batch.ids)
	if len(targets) != rows || len(weights) != rows {
		return nil, fmt.Errorf("gpt2: %d targets and %d weights for %d rows", len(targets), len(weights), rows)
	}
	for i, id := range targets {
		if weights[i] != 0 && (id < 0 || int(id) >= m.Config.VocabSize) {
			return nil, fmt.Errorf("gpt2: target %d of row %d is not in [0, %d)", id, i, m.Config.VocabSize)
		}
	}
	return m.forward(r.ws, &r.batch), nil
}
