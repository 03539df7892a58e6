package sampling

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
)

// ErrNothingLeft is returned when every token was banned or removed, or when
// no logit is a finite number.
var ErrNothingLeft = errors.New("sampling: no token is left to choose from")

// Sampler picks the tokens of one sequence. It knows the sequence's history
// and owns its random numbers, so nothing another sequence does can reach it.
// It is for one goroutine.
type Sampler struct {
	options Options
	random  *rand.Rand

	tokens []int32        // prompt and reply, in order
	seen   []int32        // the distinct, not exempt ids of tokens
	counts map[int32]int  // how often each not exempt id was generated
	known  map[int32]bool // what seen holds, and the exempt ids

	candidates []Candidate // reused from step to step
}

// New makes a sampler for a sequence that starts with prompt. The options must
// be valid. Samplers with the same seed and stream draw the same numbers; the
// stream tells apart the draws of, say, one conversation's turns.
func New(options Options, prompt []int32, seed, stream uint64) *Sampler {
	options.EnsureDefaults()
	s := &Sampler{
		options: options,
		random:  rand.New(rand.NewPCG(seed, stream)),
		tokens:  slices.Clone(prompt),
		counts:  make(map[int32]int),
		known:   make(map[int32]bool),
	}
	for _, id := range options.Exempt {
		s.known[id] = true
	}
	for _, id := range prompt {
		s.see(id)
	}
	return s
}

func (s *Sampler) see(id int32) {
	if !s.known[id] {
		s.known[id] = true
		s.seen = append(s.seen, id)
	}
}

// Next picks the token that follows, from the logits the model gives for the
// last one, and adds it to the history. It overwrites logits.
func (s *Sampler) Next(logits []float32) (int32, error) {
	return s.NextWithout(logits, nil)
}

// NextWithout is [Sampler.Next] with some ids banned for this one step.
func (s *Sampler) NextWithout(logits []float32, banned []int32) (int32, error) {
	s.penalize(logits)
	Ban(logits, banned)
	id := s.pick(logits)
	if id < 0 {
		return 0, ErrNothingLeft
	}
	s.tokens = append(s.tokens, id)
	if !slices.Contains(s.options.Exempt, id) {
		s.see(id)
		s.counts[id]++
	}
	return id, nil
}

// penalize runs steps 1 to 5 of the chain (see the package comment).
func (s *Sampler) penalize(logits []float32) {
	o := &s.options
	Bias(logits, o.LogitBias)
	if o.RepetitionPenalty != 1 {
		RepetitionPenalty(logits, s.seen, o.RepetitionPenalty)
	}
	if o.PresencePenalty != 0 || o.FrequencyPenalty != 0 {
		CountPenalties(logits, s.counts, o.PresencePenalty, o.FrequencyPenalty)
	}
	if o.NoRepeatNGram > 0 {
		spared := make([]float32, len(o.Exempt))
		for i, id := range o.Exempt {
			if inRow(logits, id) {
				spared[i] = logits[id]
			}
		}
		NoRepeatNGrams(logits, s.tokens, o.NoRepeatNGram)
		for i, id := range o.Exempt {
			if inRow(logits, id) {
				logits[id] = spared[i]
			}
		}
	}
	Ban(logits, o.Banned)
}

// pick runs steps 6 to 8. It returns -1 when nothing is left.
func (s *Sampler) pick(logits []float32) int32 {
	o := &s.options
	best := Argmax(logits)
	if best < 0 || math.IsInf(float64(logits[best]), 1) {
		return -1
	}
	if o.Greedy() {
		return best
	}
	return Draw(s.truncate(logits), s.random.Float64())
}

// truncate runs steps 6 and 7 when there is a draw to come.
func (s *Sampler) truncate(logits []float32) []Candidate {
	o := &s.options
	Temperature(logits, o.Temperature)
	c := Candidates(s.candidates[:0], logits)
	s.candidates = c
	c = TopK(c, o.TopK)
	c = TopP(c, o.TopP)
	return MinP(c, o.MinP)
}
