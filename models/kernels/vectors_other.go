//go:build !amd64

package kernels

func expSumBlocks(dst, src []float32, scale, largest float32, sums *[lanes]float32) {
	expSumGeneric(dst, src, scale, largest, sums)
}

func expOnlySumBlocks(src []float32, scale, largest float32, sums *[lanes]float32) {
	expOnlySumGeneric(src, scale, largest, sums)
}

func expShiftBlocks(dst, src []float32, scale, shift float32) {
	expShiftGeneric(dst, src, scale, shift)
}

func maximumBlocks(x []float32, largest *[lanes]float32) {
	maximumGeneric(x, largest)
}

func sumBlocks(x []float32, sums *[lanes]float32) {
	sumGeneric(x, sums)
}

func dotBlocks(a, b []float32, sums *[lanes]float32) {
	dotGeneric(a, b, sums)
}

func squaredDeviationsBlocks(x []float32, mean float32, sums *[lanes]float32) {
	squaredDeviationsGeneric(x, mean, sums)
}

func sumSquaresBlocks(x []float32, sums *[lanes]float64) {
	sumSquaresGeneric(x, sums)
}

func axpyBlocks(alpha float32, x, y []float32) {
	axpyGeneric(alpha, x, y)
}

func scaleBlocks(alpha float32, x []float32) {
	scaleGeneric(alpha, x)
}

func addBlocks(dst, a, b []float32) {
	addGeneric(dst, a, b)
}

func softmaxBackwardBlocks(ds, p, dp []float32, scale, dot float32) {
	softmaxBackwardGeneric(ds, p, dp, scale, dot)
}

func geluBlocks(y, x []float32) {
	geluGeneric(y, x)
}

func geluBackwardBlocks(dx, dy, x []float32) {
	geluBackwardGeneric(dx, dy, x)
}

func geluErfBlocks(y, x []float32) {
	geluErfGeneric(y, x)
}

func geluErfBackwardBlocks(dx, dy, x []float32) {
	geluErfBackwardGeneric(dx, dy, x)
}

func normalizeBlocks(y, x, gamma, beta []float32, mean, rstd float32) {
	normalizeGeneric(y, x, gamma, beta, mean, rstd)
}

func normSumsBlocks(dy, x, gamma []float32, mean, rstd float32, sums, dots *[lanes]float32) {
	normSumsGeneric(dy, x, gamma, mean, rstd, sums, dots)
}

func normGradBlocks(dx, dy, x, gamma []float32, mean, rstd, a, b float32) {
	normGradGeneric(dx, dy, x, gamma, mean, rstd, a, b)
}

func normParamsBlocks(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	normParamsGeneric(dgamma, dbeta, dy, x, mean, rstd)
}

func adamWStepBlocks(w, g, m, v []float32, h *adamW) {
	adamWStepGeneric(w, g, m, v, h)
}

func fold(partial *[lanes]float32) float32 {
	return foldGeneric(partial)
}

func foldMaximum(partial *[lanes]float32) float32 {
	return foldMaximumGeneric(partial)
}
