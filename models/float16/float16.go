// Package float16 converts between float32 and the two floating-point formats
// of 16 bits in which weights, keys and values are kept: IEEE 754 binary16 and
// bfloat16, the upper half of a float32. All rounding is to nearest, ties to
// even.
package float16

import "math"

// FromBits is the value of an IEEE 754 binary16, exactly: subnormals,
// infinities and NaNs (with their payload) included.
func FromBits(h uint16) float32 {
	// The exponent and fraction, moved to where a float32 has them, stand for
	// the value divided by 2^(127-15); the product is exact for subnormals too.
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112)
	if h&0x7c00 == 0x7c00 { // infinity or NaN: all bits of the exponent are set
		bits |= 0x7f800000
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}

// Bits is the binary16 nearest to f, ties to even. What is too large
// becomes an infinity, a NaN stays a NaN.
func Bits(f float32) uint16 {
	b := math.Float32bits(f)
	sign := uint16(b>>16) & 0x8000
	b &= 0x7fffffff
	switch {
	case b > 0x7f800000: // NaN: keep the top of the payload, make it quiet
		return sign | 0x7e00 | uint16(b>>13)&0x3ff
	case b >= 0x47800000: // 2^16 and more
		return sign | 0x7c00
	case b < 0x38800000: // below 2^-14, a subnormal: the last bit of 0.5+|f| stands for 2^-24, as the subnormal's does
		return sign | uint16(math.Float32bits(math.Float32frombits(b)+0.5)-math.Float32bits(0.5))
	default: // move the exponent's bias, round; a carry may rightly end in infinity
		b -= (127 - 15) << 23
		b += 0xfff + b>>13&1
		return sign | uint16(b>>13)
	}
}

// BFloatFromBits is the value of a bfloat16: the upper half of a float32.
func BFloatFromBits(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BFloatBits is the bfloat16 nearest to f, ties to even. What is too large
// becomes an infinity, a NaN stays a NaN.
func BFloatBits(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // quiet, so that losing the lower half cannot turn it into an infinity
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}
