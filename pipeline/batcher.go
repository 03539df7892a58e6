package pipeline

import (
	"sync/atomic"
	"time"

	"causerie/models/gpt2"
)

// step is one sequence's share of a forward pass, or a pass of its own for
// texts to embed.
type step struct {
	segment gpt2.Segment
	logits  []float32 // receives the last token's logits; nil when they are not wanted

	embed  []gpt2.Segment // instead of segment: whole texts
	hidden []float32      // receives the hidden states of their tokens

	done chan error
}

// batcher runs the steps of all sequences on one runner. Steps that wait at
// the same time share a forward pass: decoding is bound by reading the
// weights, and a batch reads them once. The logits are the same bit for bit as
// those of each step alone.
type batcher struct {
	runner *gpt2.Runner
	steps  chan *step
	ended  chan struct{}
	// active counts the sequences that are being written: as many steps can
	// arrive at about the same time.
	active atomic.Int32

	segments []gpt2.Segment
	rows     []int
	logits   []float32
}

// patience is how long a pass waits for the steps of other active sequences:
// much longer than picking a token takes, much shorter than a pass.
const patience = 300 * time.Microsecond

// newBatcher starts the goroutine that owns the runner; close ends it.
func newBatcher(runner *gpt2.Runner) *batcher {
	b := &batcher{runner: runner, steps: make(chan *step), ended: make(chan struct{})}
	go b.run()
	return b
}

// close ends the batcher after its current pass. No do may be running or follow.
func (b *batcher) close() {
	close(b.steps)
	<-b.ended
}

// do runs one step and waits for it.
func (b *batcher) do(s *step) error {
	b.steps <- s
	return <-s.done
}

func (b *batcher) run() {
	defer close(b.ended)
	var batch []*step
	for first := range b.steps {
		batch = b.gather(append(batch[:0], first))
		if batch = b.embed(batch); len(batch) > 0 {
			b.pass(batch)
		}
	}
}

// embed runs the steps that embed, each in a pass of its own, and returns the
// others: replies share their pass for the weights' sake, texts to embed have
// rows enough of their own.
func (b *batcher) embed(batch []*step) []*step {
	replies := batch[:0]
	for _, s := range batch {
		if s.embed == nil {
			replies = append(replies, s)
			continue
		}
		s.done <- b.runner.Hidden(s.embed, s.hidden)
	}
	return replies
}

// gather adds the steps that wait, or come within patience, to the batch.
func (b *batcher) gather(batch []*step) []*step {
	var late <-chan time.Time
	for len(batch) < int(b.active.Load()) {
		if late == nil {
			late = time.After(patience)
		}
		select {
		case s, ok := <-b.steps:
			if !ok {
				return batch
			}
			batch = append(batch, s)
		case <-late:
			return batch
		}
	}
	return batch
}

// pass runs a batch and tells every step how it went. An error of a batch is
// the error of one of its steps, and must not reach the others: they are run
// again, each alone. (A failed pass leaves every cache as it was.)
func (b *batcher) pass(batch []*step) {
	err := b.forward(batch)
	if err == nil || len(batch) == 1 {
		for _, s := range batch {
			s.done <- err
		}
		return
	}
	for i := range batch {
		batch[i].done <- b.forward(batch[i : i+1])
	}
}

// forward computes a batch and hands out the logits.
func (b *batcher) forward(batch []*step) error {
	b.segments, b.rows = b.segments[:0], b.rows[:0]
	row := 0
	for _, s := range batch {
		b.segments = append(b.segments, s.segment)
		row += len(s.segment.Tokens)
		if s.logits != nil {
			b.rows = append(b.rows, row-1)
		}
	}
	vocab := b.runner.Model().Config.VocabSize
	if need := len(b.rows) * vocab; cap(b.logits) < need {
		b.logits = make([]float32, need)
	}
	b.logits = b.logits[:len(b.rows)*vocab]
	if err := b.runner.Logits(b.segments, b.rows, b.logits); err != nil {
		return err
	}
	left := b.logits
	for _, s := range batch {
		if s.logits != nil {
			copy(s.logits, left[:vocab])
			left = left[vocab:]
		}
	}
	return nil
}
