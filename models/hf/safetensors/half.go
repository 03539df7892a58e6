package safetensors

import (
	"encoding/binary"
	"math"
	"sync"

	"causerie/models/float16"
)

// f16Table holds the value of every binary16. 256 KiB stay in the cache while
// a tensor is read, and looking a value up is three times as fast as computing
// it, which for subnormals the processor does slowly besides.
var f16Table = sync.OnceValue(func() *[1 << 16]float32 {
	table := new([1 << 16]float32)
	for i := range table {
		table[i] = float16.FromBits(uint16(i))
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
		dst[i] = float16.BFloatFromBits(binary.LittleEndian.Uint16(src[2*i:]))
	}
}
