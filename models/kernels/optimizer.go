package kernels

import "math"

// An AdamWStep holds the numbers of one AdamW step (Loshchilov & Hutter 2019,
// as PyTorch computes it).
type AdamWStep struct {
	LR           float64 // learning rate of this step
	Beta1, Beta2 float64 // decay of the running means of g and g²
	Eps          float64
	WeightDecay  float64 // decoupled: w shrinks by LR·WeightDecay
	Correction1  float64 // 1 - Beta1^t, t counted from 1
	Correction2  float64 // 1 - Beta2^t
	GradScale    float64 // what gradients are multiplied by first (clipping, averaging); 1 for none
}

// adamW is a step reduced to what each element needs. The assembly reads the
// fields in this order.
type adamW struct {
	scale     float32 // of the gradient
	mix1      float32 // 1-β₁
	beta2     float32
	mix2      float32 // 1-β₂
	invRoot2  float32 // 1/√correction2
	eps       float32
	keep      float32 // 1 - lr·decay
	minusStep float32 // -lr/correction1
}

func (h AdamWStep) reduce() adamW {
	return adamW{
		scale:     float32(h.GradScale),
		mix1:      float32(1 - h.Beta1),
		beta2:     float32(h.Beta2),
		mix2:      float32(1 - h.Beta2),
		invRoot2:  float32(1 / math.Sqrt(h.Correction2)),
		eps:       float32(h.Eps),
		keep:      float32(1 - h.LR*h.WeightDecay),
		minusStep: float32(-h.LR / h.Correction1),
	}
}

// AdamW takes one step on the weights w with gradients g; m and v are the
// running means, zeros before the first step. g is left as it is. Per element,
// with g scaled by GradScale:
//
//	m ← m + (1-β₁)(g-m)
//	v ← β₂v + (1-β₂)g²
//	w ← w(1 - lr·decay) - lr/c₁ · m / (√v/√c₂ + eps)
func AdamW(p *Pool, w, g, m, v []float32, h AdamWStep) {
	need("AdamW g", len(g), len(w))
	need("AdamW m", len(m), len(w))
	need("AdamW v", len(v), len(w))
	s := h.reduce()
	p.forSpans(len(w), func(lo, hi int) {
		n := lo + whole(hi-lo)
		adamWStepBlocks(w[lo:n], g[lo:n], m[lo:n], v[lo:n], &s)
		adamWStepGeneric(w[n:hi], g[n:hi], m[n:hi], v[n:hi], &s)
	})
}
