package pipeline

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Pooling says how the hidden states of a text's tokens become one vector.
type Pooling string

const (
	// PoolMean is the mean of all tokens' hidden states.
	PoolMean Pooling = "mean"
	// PoolLast is the hidden state of the last token, the only one of a
	// decoder that has seen the whole text.
	PoolLast Pooling = "last"
	// PoolDecayed is a mean whose weights decay evenly from the last token to
	// the first, as later tokens have seen more: Muennighoff (2022), section 3.1.
	PoolDecayed Pooling = "decayed"
	// PoolCLS is the hidden state of the first token, which in an encoder is
	// [CLS] and has seen the whole text.
	PoolCLS Pooling = "cls"
	// PoolMax is, in each component, the largest of all tokens' hidden states.
	PoolMax Pooling = "max"
)

// What the two kinds of models can pool: a decoder's first token has seen
// nothing but itself.
var (
	decoderPoolings = []Pooling{PoolMean, PoolLast, PoolDecayed}
	encoderPoolings = []Pooling{PoolMean, PoolCLS, PoolMax, PoolLast, PoolDecayed}
)

// check says whether a pooling is one of those known.
func (p Pooling) check(known []Pooling) error {
	if slices.Contains(known, p) {
		return nil
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	return fmt.Errorf("unknown pooling %q (known are %s and %s)", p, strings.Join(names[:len(names)-1], ", "), names[len(names)-1])
}

// rows are those of n tokens whose states are looked at: from … to-1.
func (p Pooling) rows(n int) (from, to int) {
	switch p {
	case PoolCLS:
		return 0, 1
	case PoolLast:
		return n - 1, n
	}
	return 0, n
}

// pool makes the first dimensions of a text's vector from the states of its
// rows, [rows, width]. Sums are in float64 and in the order of the tokens, so
// they do not depend on what stood beside the text.
func (p Pooling) pool(states []float32, width, dimensions int) []float32 {
	n := len(states) / width
	sum := make([]float64, dimensions)
	for i := range n {
		row := states[i*width : i*width+dimensions]
		switch {
		case p == PoolMax && i > 0:
			for c, x := range row {
				sum[c] = max(sum[c], float64(x))
			}
		case p == PoolDecayed:
			weight := float64(i+1) / float64(n)
			for c, x := range row {
				sum[c] += weight * float64(x)
			}
		default:
			for c, x := range row {
				sum[c] += float64(x)
			}
		}
	}
	return normalised(sum)
}

// normalised is the vector of length 1 in x's direction; the zero vector stays.
func normalised(x []float64) []float32 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	length := math.Sqrt(square)
	if length == 0 {
		length = 1
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v / length)
	}
	return out
}
