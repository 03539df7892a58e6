package kernels

import (
	"runtime"
	"unsafe"
)

// peakWork does n rounds of a type's multiply-adds and returns how many
// operations that was: a kernel's round is 12 vectors. Processors without
// instructions for the narrow types multiply them as float32 or 16-bit
// integers, at the speed of float32.
func peakWork(n int, d DType) int {
	const chains, perAdd = 12, 2
	switch {
	case active == pathAVX512 && d == Int8 && instructions.bytes:
		peakBytesAVX512(n)
		return n * chains * 64 * perAdd
	case active == pathAVX512 && d == BFloat16 && instructions.pairs:
		peakPairsAVX512(n)
		return n * chains * 32 * perAdd
	case active == pathAVX512:
		peakAVX512(n)
		return n * chains * 16 * perAdd
	case active == pathAVX2:
		peakAVX2(n)
		return n * chains * 8 * perAdd
	}
	return peakGeneric(n)
}

// readLines reads whole blocks of 64 floats, asking for memory ahead or not.
func readLines(x []float32, ahead bool) {
	distance := 0
	if ahead {
		distance = 3 << 10
	}
	b := (*uint32)(unsafe.Pointer(unsafe.SliceData(x)))
	switch active {
	case pathAVX512:
		readAVX512(b, len(x)/64, distance)
	case pathAVX2:
		readAVX2(b, len(x)/64, distance)
	default:
		runtime.KeepAlive(readGeneric(x))
	}
}
