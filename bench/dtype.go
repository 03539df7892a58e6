package bench

import (
	"math"

	"causerie/models/kernels"
)

// peaks measure how many billions of operations a second a pool does at most
// with weights of a type. Where one is missing, arithmetic is never the limit.
var peaks = map[kernels.DType]func(*kernels.Pool) float64{
	kernels.Float32: kernels.MeasurePeak,
}

// weightBytes is the size of a weight, the scales of int8 left out.
func weightBytes(d kernels.DType) float64 {
	switch d {
	case kernels.BFloat16:
		return 2
	case kernels.Int8:
		return 1
	}
	return 4
}

// peak is how many operations a second the threads do with weights of a type.
func (r *ruler) peak(d kernels.DType) float64 {
	measure := peaks[d]
	if measure == nil {
		return math.Inf(1)
	}
	return 1e9 * measure(r.all)
}
