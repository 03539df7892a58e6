package finetune

import (
	"math"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// normSpan is how many values one task of globalNorm adds up. It is part of
// the order of summation, so it is fixed and not made to fit the threads.
const normSpan = 1 << 16

// norms computes the length of all gradients taken as one vector. It keeps its
// memory from step to step.
type norms struct {
	pool  *kernels.Pool
	spans [][]float32
	sums  []float64
}

func newNorms(pool *kernels.Pool, params []gpt2.Param) *norms {
	n := &norms{pool: pool}
	for _, p := range params {
		for g := p.Grad; len(g) > 0; {
			size := min(normSpan, len(g))
			n.spans = append(n.spans, g[:size])
			g = g[size:]
		}
	}
	n.sums = make([]float64, len(n.spans))
	return n
}

// global returns the Euclidean norm of all gradients. Spans of fixed size are
// summed in float64, each in the fixed order of kernels.SumSquares, and their
// sums one after the other: the result does not depend on threads. It is NaN
// or infinite when a gradient is.
func (n *norms) global() float64 {
	n.pool.Run(len(n.spans), func(i, _ int) { n.sums[i] = kernels.SumSquares(n.spans[i]) })
	total := 0.0
	for _, s := range n.sums {
		total += s
	}
	return math.Sqrt(total)
}

// clear sets every gradient to zero.
func (n *norms) clear() {
	n.pool.Run(len(n.spans), func(i, _ int) { clear(n.spans[i]) })
}

// clipScale is what gradients of this norm are multiplied by so that they are
// no longer than limit (Pascanu et al. 2013), as PyTorch's clip_grad_norm_
// computes it. A limit of 0 or less clips nothing.
func clipScale(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return min(1, limit/(norm+1e-6))
}
