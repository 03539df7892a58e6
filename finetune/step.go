package finetune

import (
	"context"
	"errors"
	"fmt"
	"math"

	"causerie/corpora"
)

// step takes one optimizer step: the mean loss of Accumulate micro-batches, its
// gradient, clipping, AdamW. When ctx ends on the way, it gives up and puts the
// data back where they were; neither then nor after an error has any weight
// changed.
func (t *trainer) step(ctx context.Context) (Step, error) {
	number, position := t.state.Step+1, t.stream.State()
	batches, share, rows := t.gather()
	if share == 0 {
		return Step{}, fmt.Errorf("step %d: nothing in its %d batches is to be learnt", number, len(batches))
	}
	t.norms.clear()
	var sum tally
	for i, b := range batches {
		if err := ctx.Err(); err != nil {
			return Step{}, errors.Join(err, t.stream.Restore(position))
		}
		t.folder.dropOut(t.o.Seed, number, i)
		// The gradient of the mean over all targets, or pairs, of the step,
		// however they are spread over micro-batches.
		batch, err := t.objective.gradient(b, float32(1/share))
		if err != nil {
			return Step{}, fmt.Errorf("step %d, batch %d of %d: %w", number, i+1, len(batches), err)
		}
		if !finite(batch.loss) {
			return Step{}, t.diverged(number, fmt.Sprintf("the loss of batch %d of %d (%d dialogues, %d tokens) is %v",
				i+1, len(batches), len(b.Examples), b.Rows(), batch.loss))
		}
		sum.merge(batch)
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
	return t.report(sum, lr, norm), nil
}

// gather reads the micro-batches of one step. It returns the sum of their
// shares and the number of their rows too.
func (t *trainer) gather() (batches []*corpora.Batch, share float64, rows int) {
	for range t.o.Accumulate {
		b := t.stream.Next()
		share += t.objective.share(b)
		rows += b.Rows()
		batches = append(batches, b)
	}
	return batches, share, rows
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
func (t *trainer) report(sum tally, lr, norm float64) Step {
	s := Step{
		Step: t.state.Step, Steps: t.o.Steps,
		Loss: sum.score("").Loss, LR: lr, GradNorm: norm, Rewards: sum.rewards(),
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
