package sampling

import (
	"math"
	"slices"

	"causerie/models/kernels"
)

// Candidate is a token that may still be drawn.
type Candidate struct {
	ID    int32
	Logit float32
}

// better orders candidates from the best: higher logit first, and of two equal
// ones the lower id.
func better(c, d Candidate) bool {
	return c.Logit > d.Logit || c.Logit == d.Logit && c.ID < d.ID
}

func worse(c, d Candidate) bool { return better(d, c) }

// Candidates appends the tokens of a row that were not removed, in the order
// of their ids.
func Candidates(dst []Candidate, logits []float32) []Candidate {
	for id, l := range logits {
		if l > removed {
			dst = append(dst, Candidate{int32(id), l})
		}
	}
	return dst
}

// TopK keeps the k best candidates, and with them, as transformers does, any
// whose logit equals that of the k-th. k <= 0 keeps all. The result lies in
// the memory of c, whose order is lost.
func TopK(c []Candidate, k int) []Candidate {
	if k <= 0 || k >= len(c) {
		return c
	}
	// A heap of the k best so far, the worst of them on top: most candidates
	// are no better than that one, and cost one comparison.
	heap, rest := c[:k], c[k:]
	for i := k/2 - 1; i >= 0; i-- {
		siftDown(heap, i, worse)
	}
	for i, x := range rest {
		if x.Logit > heap[0].Logit {
			heap[0], rest[i] = x, heap[0]
			siftDown(heap, 0, worse)
		}
	}
	for i, x := range rest {
		if x.Logit == heap[0].Logit {
			c[k], rest[i] = x, c[k]
			k++
		}
	}
	return c[:k]
}

// TopP keeps the smallest set of best candidates whose probabilities reach p
// (nucleus sampling, Holtzman et al. 2019), at least one. p >= 1 keeps all.
// The result lies in the memory of c, whose order is lost.
func TopP(c []Candidate, p float64) []Candidate {
	if p >= 1 || len(c) < 2 {
		return c
	}
	best := maxLogit(c)
	total := mass(c, best)
	// Candidates below (1-p)/len(c) of the best cannot be in the nucleus: all
	// of them together weigh less than 1-p. Most of a vocabulary goes here,
	// and only the few that stay are put in order.
	if floor := float64(best) + math.Log((1-p)/float64(len(c))); floor > math.Inf(-1) {
		c = slices.DeleteFunc(c, func(x Candidate) bool { return float64(x.Logit) < floor })
	}
	need, sum := p*total, 0.0
	return selectBest(c, func(next Candidate) bool {
		if sum >= need && sum > 0 {
			return false
		}
		sum += weight(next, best)
		return true
	})
}

// MinP keeps the candidates whose probability is at least p times that of the
// best one. p <= 0 keeps all. The result lies in the memory of c.
func MinP(c []Candidate, p float64) []Candidate {
	if p <= 0 || len(c) < 2 {
		return c
	}
	best := maxLogit(c)
	floor := math.Log(min(p, 1))
	return slices.DeleteFunc(c, func(x Candidate) bool { return float64(x.Logit)-float64(best) < floor })
}

// selectBest takes candidates from the best on, for as long as take says yes
// (at least one), and returns them in that order. It builds a heap in place
// and pops it: n + m log n steps for m taken of n, not a sort of them all.
func selectBest(c []Candidate, take func(Candidate) bool) []Candidate {
	for i := len(c)/2 - 1; i >= 0; i-- {
		siftDown(c, i, better)
	}
	n := len(c)
	for n > 0 && (take(c[0]) || n == len(c)) {
		n--
		c[0], c[n] = c[n], c[0]
		siftDown(c[:n], 0, better)
	}
	taken := c[n:]
	slices.Reverse(taken)
	return taken
}

// siftDown moves heap[i] down until no child comes before it.
func siftDown(heap []Candidate, i int, before func(c, d Candidate) bool) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if right := child + 1; right < len(heap) && before(heap[right], heap[child]) {
			child = right
		}
		if !before(heap[child], heap[i]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// weight is a candidate's probability relative to the best one's.
func weight(c Candidate, best float32) float64 {
	return math.Exp(float64(c.Logit) - float64(best))
}

// mass is the sum of all weights. Over a whole vocabulary the exponentials
// would take as long as all else in this package together, so they go through
// the vector kernels, a block at a time.
func mass(c []Candidate, best float32) float64 {
	var block [512]float32
	sum := 0.0
	for len(c) > 0 {
		n := min(len(c), len(block))
		for i, x := range c[:n] {
			block[i] = x.Logit - best
		}
		kernels.Exp(block[:n], block[:n])
		sum += float64(kernels.Sum(block[:n]))
		c = c[n:]
	}
	return sum
}

func maxLogit(c []Candidate) float32 {
	best := removed
	for _, x := range c {
		if x.Logit > best { // several times faster than max, which minds NaN and -0
			best = x.Logit
		}
	}
	return best
}
