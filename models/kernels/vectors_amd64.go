package kernels

import "unsafe"

// The kernels along rows, by path. Their slices are all as long as the first
// and a multiple of block; vectors.go says what each computes.

func expSumBlocks(dst, src []float32, scale, largest float32, sums *[lanes]float32) {
	switch active {
	case pathAVX512:
		expSumAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst), scale, largest, &sums[0])
	case pathAVX2:
		expSumAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst), scale, largest, &sums[0])
	default:
		expSumGeneric(dst, src, scale, largest, sums)
	}
}

func expOnlySumBlocks(src []float32, scale, largest float32, sums *[lanes]float32) {
	switch active {
	case pathAVX512:
		expOnlySumAVX512(unsafe.SliceData(src), len(src), scale, largest, &sums[0])
	case pathAVX2:
		expOnlySumAVX2(unsafe.SliceData(src), len(src), scale, largest, &sums[0])
	default:
		expOnlySumGeneric(src, scale, largest, sums)
	}
}

func expShiftBlocks(dst, src []float32, scale, shift float32) {
	switch active {
	case pathAVX512:
		expShiftAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst), scale, shift)
	case pathAVX2:
		expShiftAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), len(dst), scale, shift)
	default:
		expShiftGeneric(dst, src, scale, shift)
	}
}

func maximumBlocks(x []float32, largest *[lanes]float32) {
	switch active {
	case pathAVX512:
		maximumAVX512(unsafe.SliceData(x), len(x), &largest[0])
	case pathAVX2:
		maximumAVX2(unsafe.SliceData(x), len(x), &largest[0])
	default:
		maximumGeneric(x, largest)
	}
}

func sumBlocks(x []float32, sums *[lanes]float32) {
	switch active {
	case pathAVX512:
		sumAVX512(unsafe.SliceData(x), len(x), &sums[0])
	case pathAVX2:
		sumAVX2(unsafe.SliceData(x), len(x), &sums[0])
	default:
		sumGeneric(x, sums)
	}
}

func dotBlocks(a, b []float32, sums *[lanes]float32) {
	switch active {
	case pathAVX512:
		dotAVX512(unsafe.SliceData(a), unsafe.SliceData(b), len(a), &sums[0])
	case pathAVX2:
		dotAVX2(unsafe.SliceData(a), unsafe.SliceData(b), len(a), &sums[0])
	default:
		dotGeneric(a, b, sums)
	}
}

func squaredDeviationsBlocks(x []float32, mean float32, sums *[lanes]float32) {
	switch active {
	case pathAVX512:
		squaredDeviationsAVX512(unsafe.SliceData(x), len(x), mean, &sums[0])
	case pathAVX2:
		squaredDeviationsAVX2(unsafe.SliceData(x), len(x), mean, &sums[0])
	default:
		squaredDeviationsGeneric(x, mean, sums)
	}
}

func sumSquaresBlocks(x []float32, sums *[lanes]float64) {
	switch active {
	case pathAVX512:
		sumSquaresAVX512(unsafe.SliceData(x), len(x), &sums[0])
	case pathAVX2:
		sumSquaresAVX2(unsafe.SliceData(x), len(x), &sums[0])
	default:
		sumSquaresGeneric(x, sums)
	}
}

func axpyBlocks(alpha float32, x, y []float32) {
	switch active {
	case pathAVX512:
		axpyAVX512(alpha, unsafe.SliceData(x), unsafe.SliceData(y), len(x))
	case pathAVX2:
		axpyAVX2(alpha, unsafe.SliceData(x), unsafe.SliceData(y), len(x))
	default:
		axpyGeneric(alpha, x, y)
	}
}

func scaleBlocks(alpha float32, x []float32) {
	switch active {
	case pathAVX512:
		scaleAVX512(alpha, unsafe.SliceData(x), len(x))
	case pathAVX2:
		scaleAVX2(alpha, unsafe.SliceData(x), len(x))
	default:
		scaleGeneric(alpha, x)
	}
}

func addBlocks(dst, a, b []float32) {
	switch active {
	case pathAVX512:
		addAVX512(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), len(dst))
	case pathAVX2:
		addAVX2(unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b), len(dst))
	default:
		addGeneric(dst, a, b)
	}
}

func softmaxBackwardBlocks(ds, p, dp []float32, scale, dot float32) {
	switch active {
	case pathAVX512:
		softmaxBackwardAVX512(unsafe.SliceData(ds), unsafe.SliceData(p), unsafe.SliceData(dp), len(ds), scale, dot)
	case pathAVX2:
		softmaxBackwardAVX2(unsafe.SliceData(ds), unsafe.SliceData(p), unsafe.SliceData(dp), len(ds), scale, dot)
	default:
		softmaxBackwardGeneric(ds, p, dp, scale, dot)
	}
}

func geluBlocks(y, x []float32) {
	switch active {
	case pathAVX512:
		geluAVX512(unsafe.SliceData(y), unsafe.SliceData(x), len(y))
	case pathAVX2:
		geluAVX2(unsafe.SliceData(y), unsafe.SliceData(x), len(y))
	default:
		geluGeneric(y, x)
	}
}

func geluBackwardBlocks(dx, dy, x []float32) {
	switch active {
	case pathAVX512:
		geluBackwardAVX512(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(dx))
	case pathAVX2:
		geluBackwardAVX2(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(dx))
	default:
		geluBackwardGeneric(dx, dy, x)
	}
}

func geluErfBlocks(y, x []float32) {
	switch active {
	case pathAVX512:
		geluErfAVX512(unsafe.SliceData(y), unsafe.SliceData(x), len(y))
	case pathAVX2:
		geluErfAVX2(unsafe.SliceData(y), unsafe.SliceData(x), len(y))
	default:
		geluErfGeneric(y, x)
	}
}

func geluErfBackwardBlocks(dx, dy, x []float32) {
	switch active {
	case pathAVX512:
		geluErfBackwardAVX512(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(dx))
	case pathAVX2:
		geluErfBackwardAVX2(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), len(dx))
	default:
		geluErfBackwardGeneric(dx, dy, x)
	}
}

func normalizeBlocks(y, x, gamma, beta []float32, mean, rstd float32) {
	switch active {
	case pathAVX512:
		normalizeAVX512(unsafe.SliceData(y), unsafe.SliceData(x), unsafe.SliceData(gamma), unsafe.SliceData(beta), len(y), mean, rstd)
	case pathAVX2:
		normalizeAVX2(unsafe.SliceData(y), unsafe.SliceData(x), unsafe.SliceData(gamma), unsafe.SliceData(beta), len(y), mean, rstd)
	default:
		normalizeGeneric(y, x, gamma, beta, mean, rstd)
	}
}

func normSumsBlocks(dy, x, gamma []float32, mean, rstd float32, sums, dots *[lanes]float32) {
	switch active {
	case pathAVX512:
		normSumsAVX512(unsafe.SliceData(dy), unsafe.SliceData(x), unsafe.SliceData(gamma), len(dy), mean, rstd, &sums[0], &dots[0])
	case pathAVX2:
		normSumsAVX2(unsafe.SliceData(dy), unsafe.SliceData(x), unsafe.SliceData(gamma), len(dy), mean, rstd, &sums[0], &dots[0])
	default:
		normSumsGeneric(dy, x, gamma, mean, rstd, sums, dots)
	}
}

func normGradBlocks(dx, dy, x, gamma []float32, mean, rstd, a, b float32) {
	switch active {
	case pathAVX512:
		normGradAVX512(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), unsafe.SliceData(gamma), len(dx), mean, rstd, a, b)
	case pathAVX2:
		normGradAVX2(unsafe.SliceData(dx), unsafe.SliceData(dy), unsafe.SliceData(x), unsafe.SliceData(gamma), len(dx), mean, rstd, a, b)
	default:
		normGradGeneric(dx, dy, x, gamma, mean, rstd, a, b)
	}
}

func normParamsBlocks(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	switch active {
	case pathAVX512:
		normParamsAVX512(unsafe.SliceData(dgamma), unsafe.SliceData(dbeta), unsafe.SliceData(dy), unsafe.SliceData(x), len(dgamma), mean, rstd)
	case pathAVX2:
		normParamsAVX2(unsafe.SliceData(dgamma), unsafe.SliceData(dbeta), unsafe.SliceData(dy), unsafe.SliceData(x), len(dgamma), mean, rstd)
	default:
		normParamsGeneric(dgamma, dbeta, dy, x, mean, rstd)
	}
}

func adamWStepBlocks(w, g, m, v []float32, h *adamW) {
	switch active {
	case pathAVX512:
		adamWStepAVX512(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(m), unsafe.SliceData(v), len(w), &h.scale)
	case pathAVX2:
		adamWStepAVX2(unsafe.SliceData(w), unsafe.SliceData(g), unsafe.SliceData(m), unsafe.SliceData(v), len(w), &h.scale)
	default:
		adamWStepGeneric(w, g, m, v, h)
	}
}

func fold(partial *[lanes]float32) float32 {
	switch active {
	case pathAVX512:
		return foldAVX512(&partial[0])
	case pathAVX2:
		return foldAVX2(&partial[0])
	}
	return foldGeneric(partial)
}

func foldMaximum(partial *[lanes]float32) float32 {
	switch active {
	case pathAVX512:
		return foldMaximumAVX512(&partial[0])
	case pathAVX2:
		return foldMaximumAVX2(&partial[0])
	}
	return foldMaximumGeneric(partial)
}
