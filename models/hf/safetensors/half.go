package safetensors

import (
	"encoding/binary"
	"math"
	"sync"
)

// Float16FromBits is the value of an IEEE 754 binary16, exactly: subnormals,
// infinities and NaNs (with their payload) included.
func Float16FromBits(h uint16) float32 {
	// The exponent and fraction, moved to where a float32 has them, stand for
	// the value divided by 2^(127-15); the product is exact for subnormals too.
	bits := math.Float32bits(math.Float32frombits(uint32(h&0x7fff)<<13) * 0x1p112)
	if h&0x7c00 == 0x7c00 { // infinity or NaN: all bits of the exponent are set
		bits |= 0x7f800000
	}
	return math.Float32frombits(bits | uint32(h&0x8000)<<16)
}

// Float16Bits is the binary16 nearest to f, ties to even. What is too large
// becomes an infinity, a NaN stays a NaN.
func Float16Bits(f float32) uint16 {
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

// BFloat16FromBits is the value of a bfloat16: the upper half of a float32.
func BFloat16FromBits(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// BFloat16Bits is the bfloat16 nearest to f, ties to even. What is too large
// becomes an infinity, a NaN stays a NaN.
func BFloat16Bits(f float32) uint16 {
	b := math.Float32bits(f)
	if b&0x7fffffff > 0x7f800000 {
		return uint16(b>>16) | 0x40 // quiet, so that losing the lower half cannot turn it into an infinity
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// f16Table holds the value of every binary16. 256 KiB stay in the cache while
// a tensor is read, and looking a value up is three times as fast as computing
// it, which for subnormals the processor does slowly besides.
var f16Table = sync.OnceValue(func() *[1 << 16]float32 {
	table := new([1 << 16]float32)
	for i := range table {
		table[i] = Float16FromBits(uint16(i))
	}
	return table
})

// decodeF16 turns little-endian binary16 into float32. src may be the upper
// half of dst's own memory: a value is read before its place is written.
func decodeF16(dst []float32, src []byte) {
	table := f16Table()
	src = src[:2*len(dst)]
	for ; len(dst) >= 4; dst, src = dst[4:], src[8:] {
		h := binary.LittleEndian.Uint64(src)
		dst[0] = table[uint16(h)]
		dst[1] = table[uint16(h>>16)]
		dst[2] = table[uint16(h>>32)]
		dst[3] = table[uint16(h>>48)]
	}
	for i := range dst {
		dst[i] = table[binary.LittleEndian.Uint16(src[2*i:])]
	}
}

// decodeBF16 does for bfloat16 what decodeF16 does for binary16.
func decodeBF16(dst []float32, src []byte) {
	src = src[:2*len(dst)]
	for ; len(dst) >= 4; dst, src = dst[4:], src[8:] {
		h := binary.LittleEndian.Uint64(src)
		dst[0] = math.Float32frombits(uint32(h) << 16)
		dst[1] = math.Float32frombits(uint32(h) & 0xffff0000)
		dst[2] = math.Float32frombits(uint32(h>>32) << 16)
		dst[3] = math.Float32frombits(uint32(h>>32) & 0xffff0000)
	}
	for i := range dst {
		dst[i] = BFloat16FromBits(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
