package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"

	"causerie/corpora"
	"causerie/models/gpt2"
)

// network is what training needs of a model: gpt2.Runner has it.
type network interface {
	LossAndGrad(segments []gpt2.Segment, targets []int32, weights []float32, scale float32) (gpt2.LossSum, error)
	RowLosses(segments []gpt2.Segment, targets []int32, weights []float32, nats []float64) (gpt2.LossSum, error)
}

// segmentsOf gives the model a batch: each example is a sequence of its own,
// so nothing attends across dialogues.
func segmentsOf(dst []gpt2.Segment, b *corpora.Batch, a *gpt2.Adapter) []gpt2.Segment {
	dst = dst[:0]
	for i := range b.Examples {
		dst = append(dst, gpt2.Segment{Tokens: b.Examples[i].Tokens, Adapter: a})
	}
	return dst
}

// step takes one optimizer step: the mean loss of Accumulate micro-batches, its
// gradient, clipping, AdamW. When ctx ends on the way, it gives up and puts the
// data back where they were; neither then nor after an error has any weight
// changed.
func (t *trainer) step(ctx context.Context) (Step, error) {
	number, position := t.state.Step+1, t.stream.State()
	batches, weight, rows := t.gather()
	if weight == 0 {
		return Step{}, fmt.Errorf("step %d: nothing in its %d batches is to be learnt", number, len(batches))
	}
	t.norms.clear()
	var sum gpt2.LossSum
	for i, b := range batches {
		if err := ctx.Err(); err != nil {
			return Step{}, errors.Join(err, t.stream.Restore(position))
		}
		t.segments = segmentsOf(t.segments, b, t.folder.net())
		t.folder.dropOut(t.o.Seed, number, i)
		// The gradient of the mean over all targets of the step, however they
		// are spread over micro-batches.
		loss, err := t.network.LossAndGrad(t.segments, b.Targets, b.Weights, float32(1/weight))
		if err != nil {
			return Step{}, fmt.Errorf("step %d, batch %d of %d: %w", number, i+1, len(batches), err)
		}
		if !finite(loss.Sum) {
			return Step{}, t.diverged(number, fmt.Sprintf("the loss of batch %d of %d (%d dialogues, %d tokens) is %v",
				i+1, len(batches), len(b.Examples), b.Rows(), loss.Sum))
		}
		sum = sum.Add(loss)
	}
	norm := t.norms.global()
	if !finite(norm) {
		return Step{}, t.diverged(number, fmt.Sprintf("the length of the gradient of its %d batches is %v", len(batches), norm))
	}
	lr := t.schedule.At(number)
	t.optimizer.step(number, lr, clipScale(norm, t.o.Clip))

	t.state.Step = number
	t.state.Tokens += int64(rows)
	t.clock.step(rows)
	return t.report(sum.Mean(), lr, norm), nil
}

// gather reads the micro-batches of one step. It returns the sum of their
// weights and the number of their rows too.
func (t *trainer) gather() (batches []*corpora.Batch, weight float64, rows int) {
	for range t.o.Accumulate {
		b := t.stream.Next()
		for _, w := range b.Weights {
			weight += float64(w)
		}
		rows += b.Rows()
		batches = append(batches, b)
	}
	return batches, weight, rows
}

// ErrDiverged is the error of a run whose loss or gradient is no longer a
// number.
var ErrDiverged = errors.New("training has diverged")

func (t *trainer) diverged(step int, what string) error {
	return fmt.Errorf("step %d: %s: %w; a lower learning rate (now %.3g) or a longer warm-up may help. The last checkpoint is intact: %s",
		step, what, ErrDiverged, t.schedule.At(step), t.checkpoints.path(t.saved.Step))
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// report describes the step that was just taken.
func (t *trainer) report(loss, lr, norm float64) Step {
	s := Step{
		Step: t.state.Step, Steps: t.o.Steps,
		Loss: loss, LR: lr, GradNorm: norm,
		Tokens:          t.state.Tokens,
		TokensPerSecond: t.clock.tokensPerSecond(),
		Seconds:         t.clock.seconds(),
		SecondsLeft:     t.clock.left(t.o.Steps - t.state.Step),
	}
	if t.passRows > 0 {
		s.Epoch = float64(t.state.Tokens) / t.passRows
	}
	return s
}
