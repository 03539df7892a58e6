package kernels

import "unsafe"

// runPairs is the tile of a product of pairs.
func (t *tileArgs) runPairs() {
	if !FastBFloat16() {
		t.runPairsGeneric()
		return
	}
	pairTiles[t.rows](t.k, unsafe.SliceData(t.a), 4*t.astep, unsafe.SliceData(t.b), 4*t.bstep, 0, 0,
		unsafe.SliceData(t.c), 4*t.cstep, t.cols, t.load, unsafe.SliceData(t.bias))
}

var pairTiles = [...]tileFunc{nil,
	pairs1x1AVX512, pairs2x1AVX512, pairs3x1AVX512, pairs4x1AVX512,
	pairs5x1AVX512, pairs6x1AVX512, pairs7x1AVX512, pairs8x1AVX512,
	pairs9x1AVX512, pairs10x1AVX512, pairs11x1AVX512, pairs12x1AVX512,
}

// roundPairs rounds a row, two elements to a word; what lacks of the last pair
// is zero.
func roundPairs(dst, x []float32) {
	n := 0
	if FastBFloat16() {
		if n = whole(len(x)); n > 0 {
			roundRowAVX512((*uint32)(unsafe.Pointer(&dst[0])), &x[0], n)
		}
	}
	roundPairsRowGeneric(dst[n/2:], x[n:])
}

// roundColumnPairs rounds pairs of rows of cols elements, at most 32.
func roundColumnPairs(dst []float32, dstep int, src []float32, sstep, cols, pairs int) {
	if pairs > 0 {
		roundColumnsAVX512((*uint32)(unsafe.Pointer(&dst[0])), 4*dstep, &src[0], 4*sstep, cols, pairs)
	}
}
