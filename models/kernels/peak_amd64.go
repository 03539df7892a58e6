package kernels

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
