package bench

import "causerie/models/kernels"

// dtypes are the types of weights there are.
var dtypes = []kernels.DType{kernels.Float32, kernels.BFloat16, kernels.Int8}

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

// cacheValueBytes is the size of a number in the KV cache beside such weights.
func cacheValueBytes(d kernels.DType) float64 {
	if d == kernels.Float32 {
		return 4
	}
	return 2
}

// peak is how many operations a second, two for each multiply-add, the threads
// do with weights of a type at most.
func (r *ruler) peak(d kernels.DType) float64 { return 1e9 * kernels.MeasurePeak(r.all, d) }
