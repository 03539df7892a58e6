package finetune

import (
	"context"
	"fmt"
	"math"

	"causerie/corpora"
	"causerie/models/gpt2"
)

// Score is how well a model predicts a corpus.
type Score struct {
	File        string  `json:"file,omitempty"`
	Loss        float64 `json:"loss"`                // mean negative log-likelihood of a token, in nats
	Perplexity  float64 `json:"perplexity"`          // e^Loss
	BitsPerByte float64 `json:"bits_per_byte"`       // of the dialogues' text in UTF-8; markers do not count
	Tokens      int     `json:"tokens"`              // that were predicted
	Dialogues   int     `json:"dialogues,omitempty"` // 0 when only a part of the file was measured
	TextBytes   int     `json:"text_bytes"`
}

// tally adds up what a Score is made of.
type tally struct {
	nats, weight         float64 // of all targets that count
	textNats             float64 // of those that are text
	tokens               int
	rows                 int // that were computed, those that do not count too
	dialogues, textBytes int
}

func (t *tally) add(b *corpora.Batch, nats []float64) {
	for i, w := range b.Weights {
		if w == 0 {
			continue
		}
		t.tokens++
		t.nats += nats[i]
		t.weight += float64(w)
		if b.Text[i] {
			t.textNats += nats[i] / float64(w)
		}
	}
	t.textBytes += b.TextBytes
	t.rows += b.Rows()
}

func (t *tally) merge(o tally) {
	t.nats += o.nats
	t.weight += o.weight
	t.textNats += o.textNats
	t.tokens += o.tokens
	t.rows += o.rows
	t.dialogues += o.dialogues
	t.textBytes += o.textBytes
}

func (t *tally) score(file string) Score {
	s := Score{File: file, Tokens: t.tokens, Dialogues: t.dialogues, TextBytes: t.textBytes}
	if t.weight > 0 {
		s.Loss = t.nats / t.weight
	}
	// JSON knows no infinity, which a hopeless model's perplexity may reach.
	s.Perplexity = min(math.Exp(s.Loss), math.MaxFloat64)
	if t.textBytes > 0 {
		s.BitsPerByte = t.textNats / math.Ln2 / float64(t.textBytes)
	}
	return s
}

// meter measures a model. It keeps its buffers.
type meter struct {
	network  network
	rows     int // of a batch
	limit    int // of tokens, after which to stop; 0 for none
	adapter  *gpt2.Adapter
	segments []gpt2.Segment
	nats     []float64
}

// measure runs a model over a corpus. progress, if not nil, is called after
// each batch with the number of tokens measured so far.
func (m *meter) measure(ctx context.Context, h heldOut, progress func(tokens int)) (tally, error) {
	sum := tally{dialogues: h.data.Total().Dialogues}
	for b := range h.data.Batches(m.rows) {
		if err := ctx.Err(); err != nil {
			return tally{}, err
		}
		m.segments = segmentsOf(m.segments, b, m.adapter)
		m.nats = append(m.nats[:0], make([]float64, b.Rows())...)
		loss, err := m.network.RowLosses(m.segments, b.Targets, b.Weights, m.nats)
		if err != nil {
			return tally{}, fmt.Errorf("%s: %w", h.name, err)
		}
		if !finite(loss.Sum) {
			return tally{}, fmt.Errorf("%s: the loss is %v: the model's weights are no use", h.name, loss.Sum)
		}
		sum.add(b, m.nats)
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
