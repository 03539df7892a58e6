package hf

import (
	"encoding/binary"
	"unsafe"
)

// transpose writes src [rows, cols] as dst[c*stride+r]. It goes down narrow
// strips of columns, so that the lines it reads stay in the nearest cache.
func transpose[T any](dst []T, stride int, src []T, rows, cols int) {
	const strip = 16 // one cache line of float32
	for from := 0; from < cols; from += strip {
		for c := from; c < min(from+strip, cols); c++ {
			column := dst[c*stride:][:rows]
			for r := range column {
				column[r] = src[r*cols+c]
			}
		}
	}
}

// transposeInt8 writes src [rows, cols] as dst [cols, rows], squares of eight
// by eight bytes at a time: byte by byte it would take longer than all the
// rest of loading.
func transposeInt8(dst, src []int8, rows, cols int) {
	to, from := bytesOf(dst), bytesOf(src)
	squares := rows &^ 7
	for c := 0; c+8 <= cols; c += 8 {
		for r := 0; r < squares; r += 8 {
			transposeSquare(to[c*rows+r:], rows, from[r*cols+c:], cols)
		}
	}
	for c := range cols {
		r := squares
		if c >= cols&^7 {
			r = 0
		}
		for ; r < rows; r++ {
			dst[c*rows+r] = src[r*cols+c]
		}
	}
}

// transposeSquare transposes eight by eight bytes in three steps, swapping
// halves of half the size in each (Warren, Hacker's Delight, section 7-3).
func transposeSquare(dst []byte, dstStep int, src []byte, srcStep int) {
	var x [8]uint64
	for i := range x {
		x[i] = binary.LittleEndian.Uint64(src[i*srcStep:])
	}
	const m1, m2, m4 = 0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0x00000000ffffffff
	for i := 0; i < 8; i += 2 {
		x[i], x[i+1] = x[i]&m1|x[i+1]&m1<<8, x[i]>>8&m1|x[i+1]&^m1
	}
	for _, i := range [...]int{0, 1, 4, 5} {
		x[i], x[i+2] = x[i]&m2|x[i+2]&m2<<16, x[i]>>16&m2|x[i+2]&^m2
	}
	for i := range 4 {
		x[i], x[i+4] = x[i]&m4|x[i+4]<<32, x[i]>>32|x[i+4]&^m4
	}
	for i := range x {
		binary.LittleEndian.PutUint64(dst[i*dstStep:], x[i])
	}
}

// bytesOf is the memory of an int8 slice.
func bytesOf(q []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q))), len(q))
}
