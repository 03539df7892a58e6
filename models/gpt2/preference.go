package gpt2

import (
	"fmt"
	"math"

	"github.com/nlpodyssey/spago/ag"

	"causerie/models/ops"
)

// Preferences are pairs of sequences, each pair a prompt with a reply that was
// chosen and then the same prompt with one that was rejected. Targets and
// weights hold one entry for each row; the rows of a reply are those of weight
// 1, the others have weight 0.
type Preferences struct {
	Segments []Segment
	Targets  []int32
	Weights  []float32

	// Reference is the log probability of each sequence's reply by the model
	// that the training starts from, as PreferenceLoss gives it; nil: 0. Beta
	// is how much it costs to leave that model behind, usually 0.1.
	Reference []float64
	Beta      float64
}

// PreferenceLoss returns the sum over the pairs of the loss of direct
// preference optimization, Rafailov et al. (2023), equation 7,
//
//	-log σ(Beta·((log π(chosen) - Reference) - (log π(rejected) - Reference)))
//
// and writes log π, the log probability of each sequence's reply, to logProbs.
// That is bit-equal whatever else is in the batch.
func (r *Runner) PreferenceLoss(p Preferences, logProbs []float64) (float64, error) {
	defer r.ws.Reset()
	loss, err := r.preferenceLoss(p, logProbs, 1)
	if err != nil {
		return 0, err
	}
	loss.Run(false)
	copy(logProbs, loss.LogProbs)
	return loss.Sum, nil
}

// PreferenceLossAndGrad is PreferenceLoss that also adds scale·∂Sum/∂θ to the
// Grad of every parameter θ that has one, as LossAndGrad does.
func (r *Runner) PreferenceLossAndGrad(p Preferences, logProbs []float64, scale float32) (float64, error) {
	defer r.ws.Reset()
	if err := r.canTrain(p.Segments, scale); err != nil {
		return 0, err
	}
	r.batch.training = true
	defer func() { r.batch.training = false }()
	loss, err := r.preferenceLoss(p, logProbs, scale)
	if err != nil {
		return 0, err
	}
	if err := ag.Backward(loss.Run(true)); err != nil {
		return 0, fmt.Errorf("gpt2: backward: %w", err)
	}
	copy(logProbs, loss.LogProbs)
	return loss.Sum, nil
}

// preferenceLoss checks the pairs and runs them up to the loss operator.
func (r *Runner) preferenceLoss(p Preferences, logProbs []float64, scale float32) (*ops.PreferenceLoss, error) {
	n := len(p.Segments)
	switch {
	case n%2 != 0:
		return nil, fmt.Errorf("gpt2: %d sequences are no pairs", n)
	case p.Reference != nil && len(p.Reference) != n:
		return nil, fmt.Errorf("gpt2: %d log probabilities of the reference for %d sequences", len(p.Reference), n)
	case len(logProbs) != n:
		return nil, fmt.Errorf("gpt2: room for %d log probabilities of %d sequences", len(logProbs), n)
	case !(p.Beta > 0) || math.IsInf(p.Beta, 0):
		return nil, fmt.Errorf("gpt2: beta must be positive, not %g", p.Beta)
	}
	x, err := r.learnt(p.Segments, p.Targets, p.Weights)
	if err != nil {
		return nil, err
	}
	replies := make([]ops.Reply, n)
	for i, span := range r.batch.spans {
		replies[i] = ops.Reply{First: span.First, Rows: span.Rows}
		if p.Reference != nil {
			replies[i].Reference = p.Reference[i]
		}
	}
	return ops.NewPreferenceLoss(r.ws, x, r.model.head(), p.Targets, p.Weights, replies, p.Beta, scale), nil
}
