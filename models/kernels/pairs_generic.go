package kernels

import (
	"math"

	"causerie/models/float16"
)

// pairOf is a word of two bfloat16 values. A float32 stands for the word: it is
// moved, never computed with.
func pairOf(first, second float32) float32 {
	return math.Float32frombits(uint32(ToBFloat16(first)) | uint32(ToBFloat16(second))<<16)
}

// roundPairsRowGeneric rounds a row, two elements to a word; what lacks of the last
// pair is zero.
func roundPairsRowGeneric(dst, x []float32) {
	for q := range dst {
		second := float32(0)
		if 2*q+1 < len(x) {
			second = x[2*q+1]
		}
		dst[q] = pairOf(x[2*q], second)
	}
}

// runPairsGeneric is the tile of pairs in plain Go.
func (t *tileArgs) runPairsGeneric() {
	for i := range t.rows {
		for j := range t.cols {
			acc := float32(0)
			if t.load != 0 {
				acc = flushed(t.c[i*t.cstep+j])
			}
			for p := range t.k {
				a, b := math.Float32bits(t.a[p*t.astep+i]), math.Float32bits(t.b[p*t.bstep+j])
				acc = flushed(fma32(float16.BFloatFromBits(uint16(a>>16)), float16.BFloatFromBits(uint16(b>>16)), acc))
				acc = flushed(fma32(float16.BFloatFromBits(uint16(a)), float16.BFloatFromBits(uint16(b)), acc))
			}
			if t.bias != nil {
				acc += t.bias[j]
			}
			t.c[i*t.cstep+j] = acc
		}
	}
}

// flushed is x, or zero of its sign when x is denormal.
func flushed(x float32) float32 {
	const exponent = 0x7f800000
	if bits := math.Float32bits(x); bits&exponent == 0 {
		return math.Float32frombits(bits & (1 << 31))
	}
	return x
}
