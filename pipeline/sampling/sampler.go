package sampling

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"causerie/models/kernels"
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

	// Reused from step to step.
	maxima     []float32
	candidates []Candidate
	stretches  []float64
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
	s.maxima = maxima(s.maxima[:0], logits)
	best := kernels.Max(s.maxima)
	switch {
	case best == removed || math.IsInf(float64(best), 1):
		return -1
	case o.Greedy():
		block := slices.Index(s.maxima, best) * blockSize
		return int32(block + slices.Index(logits[block:], best))
	}
	u := s.random.Float64()
	if o.TopK > 0 || o.TopP < 1 || o.MinP > 0 {
		return Draw(s.truncate(logits, best), u)
	}
	scale := float32(1 / o.Temperature)
	total := s.weighRow(logits, scale, best)
	return drawRow(logits, scale, best, s.stretches, total, u)
}

// truncate runs steps 6 and 7. All tokens that cannot stay are left out first,
// which is nearly all of them, and only the others are looked at one by one.
func (s *Sampler) truncate(logits []float32, best float32) []Candidate {
	o := &s.options
	floor, total := s.floor(logits, best)
	// Dividing by the temperature keeps the order but may make unequal logits
	// equal, and computing the floor has rounded it.
	floor -= 1e-5 * (1 + float32(math.Abs(float64(floor))))
	c := atLeast(s.candidates[:0], logits, s.maxima, floor)
	s.candidates = c
	Temperature(c, o.Temperature)
	c = TopK(c, o.TopK)
	Weigh(c)
	c = TopP(c, o.TopP, total)
	return MinP(c, o.MinP)
}

// floor is a logit below which no token can stay, and the weight of all tokens
// where top-p needs it: after a top-k it is that of those left.
func (s *Sampler) floor(logits []float32, best float32) (floor float32, total float64) {
	o := &s.options
	if o.TopK > 0 {
		return reachedBy(s.maxima, o.TopK, &s.candidates), 0
	}
	least := math.Inf(-1) // logarithm of the smallest weight that may stay
	if o.TopP < 1 {
		// Tokens below (1-p)·total/n each weigh less than (1-p)·total together,
		// so the nucleus is complete without them.
		total = s.weighRow(logits, float32(1/o.Temperature), best)
		least = math.Log((1 - o.TopP) * total / float64(len(logits)))
	}
	if o.MinP > 0 {
		least = max(least, math.Log(min(o.MinP, 1)))
	}
	return float32(float64(best) + min(least, 0)*o.Temperature), total
}

// weighRow sets s.stretches and returns the weight of all tokens. Tokens that
// are not a number are removed when there are any.
func (s *Sampler) weighRow(logits []float32, scale, best float32) (total float64) {
	s.stretches, total = rowMass(s.stretches[:0], logits, scale, best)
	if math.IsNaN(total) {
		for i, l := range logits {
			if l != l {
				logits[i] = removed
			}
		}
		s.stretches, total = rowMass(s.stretches[:0], logits, scale, best)
	}
	return total
}
