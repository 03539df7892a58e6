package sampling

import (
	"math"
	"slices"

	"causerie/models/kernels"
)

// blockSize is how many logits share an entry in a row's maxima.
const blockSize = 128

// maxima appends the largest logit of each block of a row. They are made with
// vector instructions and tell which few blocks are worth looking into: most of
// a vocabulary is far from being picked.
func maxima(dst, logits []float32) []float32 {
	for len(logits) > 0 {
		n := min(blockSize, len(logits))
		dst = append(dst, kernels.Max(logits[:n]))
		logits = logits[n:]
	}
	return dst
}

// Argmax is the id of the highest logit, the lowest id where several are
// equal, and -1 when every token has been removed (or is not a number).
func Argmax(logits []float32) int32 {
	best, at := removed, -1
	for i := 0; i < len(logits); i += blockSize {
		if m := kernels.Max(logits[i:min(i+blockSize, len(logits))]); m > best {
			best, at = m, i
		}
	}
	if at < 0 {
		return -1
	}
	return int32(at + slices.Index(logits[at:], best))
}

// atLeast appends the tokens whose logits reach floor, which is above that of
// removed ones, in the order of their ids.
func atLeast(dst []Candidate, logits, maxima []float32, floor float32) []Candidate {
	floor = max(floor, -math.MaxFloat32)
	for b, m := range maxima {
		if !(m >= floor) {
			continue
		}
		first := b * blockSize
		for i, l := range logits[first:min(first+blockSize, len(logits))] {
			if l >= floor {
				dst = append(dst, Candidate{ID: int32(first + i), Logit: l})
			}
		}
	}
	return dst
}

// reachedBy is a logit that at least k tokens of a row reach, as close to the
// k-th best as the blocks' maxima tell: so many blocks have a token at least
// as good. scratch is overwritten.
func reachedBy(maxima []float32, k int, scratch *[]Candidate) float32 {
	if k > len(maxima) {
		return removed
	}
	c := (*scratch)[:0]
	for b, m := range maxima {
		c = append(c, Candidate{ID: int32(b), Logit: m})
	}
	*scratch = c
	floor := float32(math.Inf(1))
	for _, x := range TopK(c, k) {
		floor = min(floor, x.Logit)
	}
	return floor
}

// Best appends the k best tokens of a row, best first.
func Best(dst []Candidate, logits []float32, k int) []Candidate {
	m := maxima(nil, logits)
	floor := reachedBy(m, k, &dst)
	dst = atLeast(dst[:0], logits, m, floor)
	slices.SortFunc(dst, compare)
	return dst[:min(k, len(dst))]
}

// rowMass is how much the tokens of each stretch of a row weigh, relative to
// the best one, when logits are multiplied by scale; and the sum of that.
func rowMass(dst []float64, logits []float32, scale, best float32) (stretches []float64, total float64) {
	for len(logits) > 0 {
		n := min(stretch, len(logits))
		m := float64(kernels.ExpSum(logits[:n], scale, best))
		dst = append(dst, m)
		total += m
		logits = logits[n:]
	}
	return dst, total
}

const stretch = 512

// drawRow picks a token of a row as Draw does, without a list of candidates:
// first the stretch it is in, then the token.
func drawRow(logits []float32, scale, best float32, stretches []float64, total, u float64) int32 {
	left := u * total
	for s, m := range stretches {
		if left >= m && s < len(stretches)-1 {
			left -= m
			continue
		}
		first := s * stretch
		if id := drawStretch(logits[first:min(first+stretch, len(logits))], scale, best, left); id >= 0 {
			return int32(first) + id
		}
		left = 0 // rounding left a sliver beyond the last token of the stretch
	}
	return Argmax(logits)
}

func drawStretch(logits []float32, scale, best float32, left float64) int32 {
	var weights [stretch]float32
	for i, l := range logits {
		weights[i] = (l - best) * scale
	}
	kernels.Exp(weights[:len(logits)], weights[:len(logits)])
	for i, w := range weights[:len(logits)] {
		if left -= float64(w); left < 0 {
			return int32(i)
		}
	}
	return -1
}
