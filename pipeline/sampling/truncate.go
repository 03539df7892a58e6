package sampling

import (
	"cmp"
	"math"
	"slices"

	"causerie/models/kernels"
)

// Candidate is a token that may still be drawn.
type Candidate struct {
	ID     int32
	Logit  float32
	Weight float32 // its probability relative to the best one's, once Weigh has set it
}

// better orders candidates from the best: higher logit first, and of two equal
// ones the lower id.
func better(c, d Candidate) bool {
	return c.Logit > d.Logit || c.Logit == d.Logit && c.ID < d.ID
}

// compare is better for package slices.
func compare(c, d Candidate) int {
	return cmp.Or(cmp.Compare(d.Logit, c.Logit), cmp.Compare(c.ID, d.ID))
}

// Candidates appends the tokens of a row that were not removed, in the order
// of their ids.
func Candidates(dst []Candidate, logits []float32) []Candidate {
	return atLeast(dst, logits, maxima(nil, logits), removed)
}

// Temperature divides every logit by t, which must be positive: below 1 the
// likely tokens gain, above 1 the unlikely ones.
func Temperature(c []Candidate, t float64) {
	d := float32(t)
	for i := range c {
		c[i].Logit /= d
	}
}

// Weigh sets the weights.
func Weigh(c []Candidate) {
	best := maxLogit(c)
	var block [512]float32
	for len(c) > 0 {
		n := min(len(c), len(block))
		for i, x := range c[:n] {
			block[i] = x.Logit - best
		}
		kernels.Exp(block[:n], block[:n])
		for i := range n {
			c[i].Weight = block[i]
		}
		c = c[n:]
	}
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
		siftDown(heap, i)
	}
	for i, x := range rest {
		if x.Logit > heap[0].Logit {
			heap[0], rest[i] = x, heap[0]
			siftDown(heap, 0)
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

// siftDown moves heap[i] down until no child is worse.
func siftDown(heap []Candidate, i int) {
	for {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if right := child + 1; right < len(heap) && better(heap[child], heap[right]) {
			child = right
		}
		if !better(heap[i], heap[child]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}

// TopP keeps the smallest set of best candidates whose probabilities reach p
// (nucleus sampling, Holtzman et al. 2019), at least one. p >= 1 keeps all.
// total is the weight of all candidates, those included that were left out
// before because they are too unlikely to stay; 0 stands for that of c. The
// result lies in the memory of c, whose order is lost.
func TopP(c []Candidate, p, total float64) []Candidate {
	if p >= 1 || len(c) < 2 {
		return c
	}
	if total == 0 {
		total = mass(c)
	}
	// Quickselect by weight: cut what is undecided into better and worse ones
	// until few are left. What lies before lo stays, what lies from hi on goes.
	need, lo, hi := p*total, 0, len(c)
	if len(c) > many {
		lo, hi, need = narrow(c, need)
	}
	for hi-lo > 16 {
		mid, sum := partition(c[lo:hi])
		if sum >= need {
			hi = lo + mid
		} else {
			need -= sum
			lo += mid
		}
	}
	slices.SortFunc(c[lo:hi], compare)
	for lo < hi && (need > 0 || lo == 0) {
		need -= float64(c[lo].Weight)
		lo++
	}
	return c[:lo]
}

// many is how many candidates are sorted into buckets first: where a model is
// undecided, half of the vocabulary may be in the nucleus.
const many = 2048

// narrow moves the candidates that are in the nucleus for certain to the front
// and those that are not to the end. Between, from lo to hi, remain the
// candidates of one bucket, among them the last of the nucleus, which need so
// much weight to be complete.
func narrow(c []Candidate, need float64) (lo, hi int, left float64) {
	const buckets = 1024
	var weights [buckets]float64
	best, worst := c[0].Logit, c[0].Logit
	for i := range c {
		if l := c[i].Logit; l > best {
			best = l
		} else if l < worst {
			worst = l
		}
	}
	scale := (buckets - 1) / (best - worst)
	if !(best > worst) || math.IsInf(float64(scale), 1) {
		return 0, len(c), need
	}
	for i := range c {
		weights[int((best-c[i].Logit)*scale)] += float64(c[i].Weight)
	}
	bucket := 0
	for bucket < buckets-1 && weights[bucket] < need {
		need -= weights[bucket]
		bucket++
	}
	hi = len(c)
	for i := 0; i < hi; {
		switch at := int((best - c[i].Logit) * scale); {
		case at < bucket:
			c[lo], c[i] = c[i], c[lo]
			lo++
			i++
		case at > bucket:
			hi--
			c[i], c[hi] = c[hi], c[i]
		default:
			i++
		}
	}
	return lo, hi, need
}

// partition moves the better ones of at least three candidates to the front.
// It returns how many they are, at least one and not all, and their weight.
func partition(c []Candidate) (n int, sum float64) {
	a, b, d := c[0], c[len(c)/2], c[len(c)-1]
	if better(b, a) {
		a, b = b, a
	}
	if better(d, b) {
		b = d
		if better(b, a) {
			b = a
		}
	}
	for i, x := range c { // b is the median of the three, so one is better
		if better(x, b) {
			sum += float64(x.Weight)
			c[i], c[n] = c[n], x
			n++
		}
	}
	return n, sum
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

// mass is the sum of all weights.
func mass(c []Candidate) float64 {
	sum := 0.0
	for i := range c {
		sum += float64(c[i].Weight)
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
