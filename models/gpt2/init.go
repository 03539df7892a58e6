package gpt2

import (
	"math"
	"math/rand/v2"
	"strings"
)

// Init fills the weights as GPT-2's were at the start of its training: normal
// with standard deviation 0.02, the projections back into the residual stream
// scaled down by √(2·layers) (Radford et al. 2019, section 2.3), layer norms
// one, biases zero. Equal seeds give equal weights.
func (m *Model) Init(seed uint64) {
	residual := 0.02 / math.Sqrt(2*float64(m.Config.Layers))
	for i, p := range m.params {
		switch {
		case len(p.Shape) == 2:
			std := 0.02
			if strings.HasSuffix(p.Name, "c_proj.weight") {
				std = residual
			}
			normal(p.Data, std, rand.New(rand.NewPCG(seed, uint64(i))))
		case strings.HasSuffix(p.Name, ".weight"):
			for j := range p.Data {
				p.Data[j] = 1
			}
		default:
			clear(p.Data)
		}
	}
}

func normal(dst []float32, std float64, r *rand.Rand) {
	for i := range dst {
		dst[i] = float32(r.NormFloat64() * std)
	}
}
