package finetune

import (
	"math"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// adamW is the optimizer (Loshchilov & Hutter 2019) by PyTorch's rule: decay is
// decoupled from the gradient and scaled by the learning rate, and applies to
// matrices only. What a step computes is written at kernels.AdamW.
type adamW struct {
	pool         *kernels.Pool
	beta1, beta2 float64
	eps, decay   float64
	params       []gpt2.Param
	mean, square [][]float32 // running means of g and g², one slice for each parameter
}

func newAdamW(pool *kernels.Pool, params []gpt2.Param, o *Options) *adamW {
	a := &adamW{pool: pool, beta1: o.Beta1, beta2: o.Beta2, eps: o.Eps, decay: max(0, o.WeightDecay), params: params}
	for _, p := range params {
		a.mean = append(a.mean, make([]float32, len(p.Data)))
		a.square = append(a.square, make([]float32, len(p.Data)))
	}
	return a
}

// step updates every parameter from its gradient times scale. t is the number
// of the step, counted from 1.
func (a *adamW) step(t int, lr, scale float64) {
	h := kernels.AdamWStep{
		LR: lr, Beta1: a.beta1, Beta2: a.beta2, Eps: a.eps,
		Correction1: 1 - math.Pow(a.beta1, float64(t)),
		Correction2: 1 - math.Pow(a.beta2, float64(t)),
		GradScale:   scale,
	}
	for i, p := range a.params {
		h.WeightDecay = 0
		if p.Decay {
			h.WeightDecay = a.decay
		}
		kernels.AdamW(a.pool, p.Data, p.Grad, a.mean[i], a.square[i], h)
	}
}
