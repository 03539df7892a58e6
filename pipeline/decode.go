package pipeline

import (
	"context"
	"iter"
	"slices"

	"causerie/pipeline/sampling"
)

// decoding is everything that says how a sequence goes on.
type decoding struct {
	prompt []int32
	max    int     // tokens of the reply
	min    int     // before ends may be picked
	ends   []int32 // ids that end the reply
	// sampler picks and knows the prompt.
	sampler *sampling.Sampler
}

// tokens yields the tokens of the reply one after the other, an id of ends
// included when one was picked: it is the last. It stops after max tokens, or
// with an error. A token's own forward pass happens only when the next one is
// asked for.
func (d *decoding) tokens(ctx context.Context, s *sequence, b *batcher) iter.Seq2[int32, error] {
	return func(yield func(int32, error) bool) {
		next := d.prompt
		for n := range d.max {
			var err error
			if n == 0 {
				err = s.start(ctx, b, next)
			} else {
				err = s.append(ctx, b, next)
			}
			var id int32
			if err == nil {
				id, err = d.pick(s.logits, n)
			}
			if err != nil {
				yield(0, err)
				return
			}
			if !yield(id, nil) || slices.Contains(d.ends, id) {
				return
			}
			next = []int32{id}
		}
	}
}

func (d *decoding) pick(logits []float32, written int) (int32, error) {
	if written < d.min {
		return d.sampler.NextWithout(logits, d.ends)
	}
	return d.sampler.Next(logits)
}
