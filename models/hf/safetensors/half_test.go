package safetensors

import (
	"encoding/binary"
	"math"
	"testing"

	"causerie/models/float16"
)

var formats = []struct {
	name      string
	decode    func(uint16) float32
	encode    func(float32) uint16
	decodeAll func([]float32, []byte)
}{
	{"F16", float16.FromBits, float16.Bits, decodeF16},
	{"BF16", float16.BFloatFromBits, float16.BFloatBits, decodeBF16},
}

func TestDecodeSlices(t *testing.T) {
	for _, f := range formats {
		for n := range 20 {
			src := make([]byte, 2*n)
			for i := range n {
				binary.LittleEndian.PutUint16(src[2*i:], uint16(i*7919))
			}
			dst := make([]float32, n)
			f.decodeAll(dst, src)
			inPlace := make([]float32, n)
			if n > 0 {
				raw := byteView(inPlace)
				copy(raw[2*n:], src)
				f.decodeAll(inPlace, raw[2*n:])
			}
			for i := range n {
				want := math.Float32bits(f.decode(uint16(i * 7919)))
				if math.Float32bits(dst[i]) != want || math.Float32bits(inPlace[i]) != want {
					t.Fatalf("%s, %d values, number %d: got %g and %g", f.name, n, i, dst[i], inPlace[i])
				}
			}
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, f := range formats {
		b.Run(f.name, func(b *testing.B) {
			src := make([]byte, 2<<16)
			for i := range 1 << 16 {
				binary.LittleEndian.PutUint16(src[2*i:], f.encode(float32(i%1000-500)/4096))
			}
			dst := make([]float32, 1<<16)
			b.SetBytes(2 << 16)
			for b.Loop() {
				f.decodeAll(dst, src)
			}
		})
	}
}
