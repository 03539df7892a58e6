package finetune

import (
	"fmt"
	"path/filepath"

	"causerie/corpora"
	"causerie/models/gpt2"
)

// UsualBeta is DPO.Beta by default.
const UsualBeta = 0.1

// DPO is direct preference optimization (Rafailov et al. 2023): the model
// learns from pairs of replies to make the chosen one more probable than the
// rejected one, and not to move away from the model that the run starts from
// any further than that takes.
type DPO struct {
	// Beta is how strongly the run is held to the model that it starts from:
	// the more, the less it changes. UsualBeta by default.
	Beta float64
}

// ensureDPO fills what learning from preferences has defaults of its own for.
func (o *Options) ensureDPO() {
	dpo := *o.DPO
	orDefault(&dpo.Beta, UsualBeta)
	o.DPO = &dpo
	orDefault(&o.Format, corpora.FormatPreferences)
	orDefault(&o.Loss, corpora.LossReplies)
	orDefault(&o.Rows, max(2048, 2*o.Context))
}

func (d *DPO) String() string { return fmt.Sprintf("dpo, beta %g", d.Beta) }

// Rewards say how far preferences have been learnt. A reply's reward is
// beta·(log π - log π₀), by how much more probable the model finds it than the
// model that the run began with did (Rafailov et al. 2023, section 4).
type Rewards struct {
	Chosen   float64 `json:"chosen"`   // mean reward of the chosen replies
	Rejected float64 `json:"rejected"` // mean reward of the rejected ones
	Margin   float64 `json:"margin"`   // mean difference of a pair
	Accuracy float64 `json:"accuracy"` // share of pairs whose chosen reply has the higher reward
	Pairs    int     `json:"pairs"`
}

// preferenceNetwork is what learning from preferences needs of a model:
// gpt2.Runner has it.
type preferenceNetwork interface {
	PreferenceLoss(p gpt2.Preferences, logProbs []float64) (float64, error)
	PreferenceLossAndGrad(p gpt2.Preferences, logProbs []float64, scale float32) (float64, error)
}

// preferences is the objective of direct preference optimization.
type preferences struct {
	network    preferenceNetwork
	adapter    *gpt2.Adapter
	beta       float64
	train      *corpora.Dataset
	references references

	segments            []gpt2.Segment
	reference, logProbs []float64
}

// share is the number of pairs: the loss of a step is their mean.
func (p *preferences) share(b *corpora.Batch) float64 { return float64(len(b.Examples) / 2) }

func (p *preferences) gradient(b *corpora.Batch, scale float32) (tally, error) {
	pairs := p.pairs(p.train, b)
	loss, err := p.network.PreferenceLossAndGrad(pairs, p.logProbs, scale)
	return p.tally(b, loss), err
}

func (p *preferences) measure(sum *tally, d *corpora.Dataset, b *corpora.Batch) error {
	pairs := p.pairs(d, b)
	loss, err := p.network.PreferenceLoss(pairs, p.logProbs)
	if err == nil {
		sum.merge(p.tally(b, loss))
	}
	return err
}

// pairs gives the model a batch and makes room for its log probabilities.
func (p *preferences) pairs(d *corpora.Dataset, b *corpora.Batch) gpt2.Preferences {
	p.segments = segmentsOf(p.segments, b, p.adapter)
	all := p.references[d.Fingerprint()]
	p.reference = p.reference[:0]
	for _, i := range b.Index {
		p.reference = append(p.reference, all[i])
	}
	p.logProbs = append(p.logProbs[:0], p.reference...)
	return gpt2.Preferences{Segments: p.segments, Targets: b.Targets, Weights: b.Weights, Reference: p.reference, Beta: p.beta}
}

// tally counts the log probabilities of a batch.
func (p *preferences) tally(b *corpora.Batch, loss float64) tally {
	t := tally{loss: loss, weight: p.share(b), rows: b.Rows(), textBytes: b.TextBytes}
	for _, w := range b.Weights {
		if w != 0 {
			t.tokens++
		}
	}
	for i := 0; i+1 < len(p.logProbs); i += 2 {
		chosen := p.beta * (p.logProbs[i] - p.reference[i])
		rejected := p.beta * (p.logProbs[i+1] - p.reference[i+1])
		t.pairs++
		t.chosen += chosen
		t.rejected += rejected
		if chosen > rejected {
			t.right++
		}
	}
	return t
}

func (p *preferences) save(dir string) error {
	return p.references.write(filepath.Join(dir, referenceFile))
}
