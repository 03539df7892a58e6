package finetune

import (
	"context"
	"fmt"
	"math"

	"causerie/corpora"
)

// Score is how well a model predicts a corpus.
type Score struct {
	File        string  `json:"file,omitempty"`
	Loss        float64 `json:"loss"`                   // mean negative log-likelihood of a token, or loss of a pair, in nats
	Perplexity  float64 `json:"perplexity,omitzero"`    // e^Loss; not of pairs
	BitsPerByte float64 `json:"bits_per_byte,omitzero"` // of the dialogues' text in UTF-8; markers do not count; not of pairs
	Tokens      int     `json:"tokens"`                 // that were predicted
	Dialogues   int     `json:"dialogues,omitempty"`    // 0 when only a part of the file was measured
	TextBytes   int     `json:"text_bytes"`

	Rewards *Rewards `json:"rewards,omitempty"` // of pairs, in a run that learns from preferences
}

// tally adds up what a Score is made of.
type tally struct {
	loss, weight         float64 // of all targets that count, or of pairs
	textNats             float64 // of those that are text
	tokens               int
	rows                 int // that were computed, those that do not count too
	dialogues, textBytes int

	pairs, right     int     // pairs, and those whose chosen reply has the higher reward
	chosen, rejected float64 // sums of rewards
}

// add counts a batch with the loss of each of its rows.
func (t *tally) add(b *corpora.Batch, nats []float64) {
	for i, w := range b.Weights {
		if w == 0 {
			continue
		}
		t.tokens++
		t.loss += nats[i]
		t.weight += float64(w)
		if b.Text[i] {
			t.textNats += nats[i] / float64(w)
		}
	}
	t.textBytes += b.TextBytes
	t.rows += b.Rows()
}

func (t *tally) merge(o tally) {
	t.loss += o.loss
	t.weight += o.weight
	t.textNats += o.textNats
	t.tokens += o.tokens
	t.rows += o.rows
	t.dialogues += o.dialogues
	t.textBytes += o.textBytes
	t.pairs += o.pairs
	t.right += o.right
	t.chosen += o.chosen
	t.rejected += o.rejected
}

func (t *tally) score(file string) Score {
	s := Score{File: file, Tokens: t.tokens, Dialogues: t.dialogues, TextBytes: t.textBytes}
	if t.weight > 0 {
		s.Loss = t.loss / t.weight
	}
	if t.pairs > 0 {
		s.Rewards = t.rewards()
		return s
	}
	// JSON knows no infinity, which a hopeless model's perplexity may reach.
	s.Perplexity = min(math.Exp(s.Loss), math.MaxFloat64)
	if t.textBytes > 0 {
		s.BitsPerByte = t.textNats / math.Ln2 / float64(t.textBytes)
	}
	return s
}

// rewards are the means of the rewards; nil when there are no pairs.
func (t *tally) rewards() *Rewards {
	if t.pairs == 0 {
		return nil
	}
	n := float64(t.pairs)
	return &Rewards{
		Chosen: t.chosen / n, Rejected: t.rejected / n, Margin: (t.chosen - t.rejected) / n,
		Accuracy: float64(t.right) / n, Pairs: t.pairs,
	}
}

// meter measures a model.
type meter struct {
	objective objective
	rows      int // of a batch
	limit     int // of tokens, after which to stop; 0 for none
}

// measure runs a model over a corpus. progress, if not nil, is called after
// each batch with the number of tokens measured so far.
func (m *meter) measure(ctx context.Context, h heldOut, progress func(tokens int)) (tally, error) {
	sum := tally{dialogues: h.data.Total().Dialogues}
	for b := range h.data.Batches(m.rows) {
		if err := ctx.Err(); err != nil {
			return tally{}, err
		}
		if err := m.objective.measure(&sum, h.data, b); err != nil {
			return tally{}, fmt.Errorf("%s: %w", h.name, err)
		}
		if !finite(sum.loss) {
			return tally{}, fmt.Errorf("%s: the loss is %v: the model's weights are no use", h.name, sum.loss)
		}
		if progress != nil {
			progress(sum.tokens)
		}
		if m.limit > 0 && sum.tokens >= m.limit && sum.tokens < h.data.Total().Learnt {
			sum.dialogues = 0
			break
		}
	}
	return sum, nil
}
