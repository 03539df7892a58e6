package kernels

import "causerie/models/float16"

// A BFloat16 product rounds x to bfloat16, too, and sums in float32:
//
//	acc = 0
//	for each pair of inputs (p, p+1) {
//		acc = fma(x[p+1], w[p+1], acc)
//		acc = fma(x[p], w[p], acc)
//	}
//	y = acc + bias  (0 when there is none)
//
// which is, rounding by rounding, what VDPBF16PS does to a pair; so processors
// without that instruction give the same bits. Like it, everything here takes
// bfloat16's denormals for zero.

// ToBFloat16 rounds x to the nearest bfloat16, ties to even. Infinities and
// NaN stay what they are, denormals become zero.
func ToBFloat16(x float32) uint16 { return flushBFloat16(float16.BFloatBits(x)) }

// flushBFloat16 turns denormals into zero of the same sign.
func flushBFloat16(x uint16) uint16 {
	const exponent = 0x7f80
	if x&exponent == 0 {
		return x & (1 << 15)
	}
	return x
}

// roundBFloat16 is x in float32 after rounding to bfloat16.
func roundBFloat16(x float32) float32 { return float16.BFloatFromBits(ToBFloat16(x)) }
