package pipeline

import (
	"math"
	"strings"

	"causerie/models/kernels"
	"causerie/models/tokenizer"
	"causerie/pipeline/sampling"
)

// TokenLogProb is a token and how likely the model found it.
type TokenLogProb struct {
	ID int32
	// Text is the token as a string; half a character in it is U+FFFD.
	Text string
	// Bytes are what the token stands for; nil for a special token and for a
	// model without tokenizer.
	Bytes []byte
	// LogProb is the natural logarithm of the token's probability in the
	// softmax of the model's own logits: before temperature, penalties, biases
	// and truncation.
	LogProb float64
}

// LogProb is a token of a text with the most likely tokens in its place, best
// first. These hold the token itself only if it is one of them.
type LogProb struct {
	TokenLogProb
	Top []TokenLogProb
}

// scorer computes log-probabilities for one sequence.
type scorer struct {
	tokenizer tokenizer.Tokenizer // nil: no text
	top       int
	best      []sampling.Candidate
	row       []float32 // a copy of the logits, which the sampler overwrites
}

// keep remembers a row of logits for score.
func (s *scorer) keep(logits []float32) {
	s.row = append(s.row[:0], logits...)
}

// score is the log-probability of a token in the row that was kept.
func (s *scorer) score(id int32) *LogProb { return s.of(s.row, id) }

// of is the log-softmax of a row at a token and at the best ones. The sum goes
// in the kernels' lane order, so the same logits give the same bits.
func (s *scorer) of(logits []float32, id int32) *LogProb {
	best := sampling.Argmax(logits)
	if best < 0 {
		best = id
	}
	largest := float64(logits[best])
	logSum := kernels.CrossEntropyLoss(logits, best) // log Σ exp(x - largest)
	token := func(id int32) TokenLogProb {
		t := TokenLogProb{ID: id, LogProb: float64(logits[id]) - largest - logSum}
		if math.IsNaN(t.LogProb) || t.LogProb < -math.MaxFloat32 {
			t.LogProb = -math.MaxFloat32 // JSON has no infinity
		}
		t.Text, t.Bytes = s.text(id)
		return t
	}
	out := &LogProb{TokenLogProb: token(id)}
	if s.top > 0 {
		s.best = sampling.Best(s.best[:0], logits, s.top)
		out.Top = make([]TokenLogProb, len(s.best))
		for i, c := range s.best {
			out.Top[i] = token(c.ID)
		}
	}
	return out
}

func (s *scorer) text(id int32) (string, []byte) {
	if s.tokenizer == nil || int(id) >= s.tokenizer.VocabSize() {
		return "", nil
	}
	if s.tokenizer.IsSpecial(id) {
		return s.tokenizer.Decode([]int32{id}), nil
	}
	raw := s.tokenizer.AppendToken(nil, id)
	return strings.ToValidUTF8(string(raw), "\uFFFD"), raw
}
