package finetune

import (
	"causerie/corpora"
	"causerie/models/gpt2"
)

// objective is what a run minimizes, and what the model is measured by.
type objective interface {
	// share is how much a batch counts in the mean loss of a step.
	share(b *corpora.Batch) float64
	// gradient adds scale times the gradient of the summed loss of a batch of
	// the training data to the gradients of what is trained.
	gradient(b *corpora.Batch, scale float32) (tally, error)
	// measure adds the losses of a batch of some data to a sum.
	measure(sum *tally, d *corpora.Dataset, b *corpora.Batch) error
	// save writes what a resumed run could not know to a checkpoint's folder.
	save(dir string) error
}

// network is what training needs of a model: gpt2.Runner has it.
type network interface {
	LossAndGrad(segments []gpt2.Segment, targets []int32, weights []float32, scale float32) (gpt2.LossSum, error)
	RowLosses(segments []gpt2.Segment, targets []int32, weights []float32, nats []float64) (gpt2.LossSum, error)
}

// supervised learns to predict the tokens that count: the loss is their
// cross-entropy.
type supervised struct {
	network  network
	adapter  *gpt2.Adapter
	segments []gpt2.Segment
	nats     []float64
}

// share is the weight of the tokens of a batch.
func (s *supervised) share(b *corpora.Batch) (weight float64) {
	for _, w := range b.Weights {
		weight += float64(w)
	}
	return weight
}

func (s *supervised) gradient(b *corpora.Batch, scale float32) (tally, error) {
	s.segments = segmentsOf(s.segments, b, s.adapter)
	loss, err := s.network.LossAndGrad(s.segments, b.Targets, b.Weights, scale)
	return tally{loss: loss.Sum, weight: loss.Weight, rows: b.Rows()}, err
}

func (s *supervised) measure(sum *tally, _ *corpora.Dataset, b *corpora.Batch) error {
	s.segments = segmentsOf(s.segments, b, s.adapter)
	s.nats = append(s.nats[:0], make([]float64, b.Rows())...)
	_, err := s.network.RowLosses(s.segments, b.Targets, b.Weights, s.nats)
	if err == nil {
		// Row by row, so that the sum does not depend on how rows are batched.
		sum.add(b, s.nats)
	}
	return err
}

func (s *supervised) save(string) error { return nil }

// segmentsOf gives the model a batch: each example is a sequence of its own,
// so nothing attends across dialogues.
func segmentsOf(dst []gpt2.Segment, b *corpora.Batch, a *gpt2.Adapter) []gpt2.Segment {
	dst = dst[:0]
	for i := range b.Examples {
		dst = append(dst, gpt2.Segment{Tokens: b.Examples[i].Tokens, Adapter: a})
	}
	return dst
}
