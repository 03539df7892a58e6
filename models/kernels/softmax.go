package kernels

import "math"

// Softmax sets dst = softmax(scale·src) over one row; dst may be src, scale
// must be positive. Elements of -Inf get probability 0; at least one must be
// finite. Sums go in lane order, so elements of probability 0 at the end of a
// row, or none at all, give the same bits for the rest.
func Softmax(dst, src []float32, scale float32) {
	SoftmaxRow(dst, src, scale)
}

// SoftmaxRow is Softmax that also returns the largest element of src and
// sum = Σ exp((src-largest)·scale), from which LogSumExp gives what ExpShift
// needs to compute the probabilities again.
func SoftmaxRow(dst, src []float32, scale float32) (largest, sum float32) {
	need("Softmax dst", len(dst), len(src))
	largest = Max(src)
	sum = expSum(dst, src, scale, largest)
	Scale(1/sum, dst[:len(src)])
	return largest, sum
}

// expSum sets dst = exp((src-largest)·scale) and returns its sum in lane order.
func expSum(dst, src []float32, scale, largest float32) float32 {
	var l [lanes]float32
	n := whole(len(src))
	expSumBlocks(dst[:n], src[:n], scale, largest, &l)
	if n < len(src) {
		b := padded(src, float32(math.Inf(-1)))
		expSumBlocks(b[:], b[:], scale, largest, &l)
		copy(dst[n:len(src)], b[:])
	}
	return fold(&l)
}

// expOnlySum returns Σ exp((src-largest)·scale) in lane order.
func expOnlySum(src []float32, scale, largest float32) float32 {
	var l [lanes]float32
	n := whole(len(src))
	expOnlySumBlocks(src[:n], scale, largest, &l)
	if n < len(src) {
		b := padded(src, float32(math.Inf(-1)))
		expOnlySumBlocks(b[:], scale, largest, &l)
	}
	return fold(&l)
}

// LogSumExp returns log Σ exp(scale·src) from what SoftmaxRow returned.
func LogSumExp(largest, sum, scale float32) float32 {
	return float32(float64(largest)*float64(scale) + math.Log(float64(sum)))
}

// ExpShift sets dst = exp(scale·src - lse): the probabilities of a row whose
// LogSumExp is known, to rounding (Softmax's bits may differ). dst may be src.
func ExpShift(dst, src []float32, scale, lse float32) {
	need("ExpShift dst", len(dst), len(src))
	n := whole(len(src))
	expShiftBlocks(dst[:n], src[:n], scale, lse)
	if n < len(src) {
		b := padded(src, 0)
		expShiftBlocks(b[:], b[:], scale, lse)
		copy(dst[n:len(src)], b[:])
	}
}

// SoftmaxBackward sets ds = scale·p·(dp - p·dp): the gradient for a row of
// scores from that of its probabilities p = softmax(scale·scores). ds may be
// dp or p.
func SoftmaxBackward(ds, p, dp []float32, scale float32) {
	need("SoftmaxBackward ds", len(ds), len(p))
	need("SoftmaxBackward dp", len(dp), len(p))
	dot := Dot(p, dp)
	n := whole(len(p))
	softmaxBackwardBlocks(ds[:n], p[:n], dp[:n], scale, dot)
	softmaxBackwardGeneric(ds[n:], p[n:], dp[n:], scale, dot)
}

// CrossEntropyRow returns weight·(-log softmax(logits)[target]) and turns
// logits into its gradient, weight·(softmax(logits) - onehot(target)).
func CrossEntropyRow(logits []float32, target int32, weight float32) float64 {
	largest := Max(logits)
	at := logits[target]
	sum := expSum(logits, logits, 1, largest)
	Scale(weight/sum, logits)
	logits[target] -= weight
	return float64(weight) * (math.Log(float64(sum)) - (float64(at) - float64(largest)))
}

// CrossEntropyLoss returns -log softmax(logits)[target] and leaves the logits
// as they are.
func CrossEntropyLoss(logits []float32, target int32) float64 {
	largest := Max(logits)
	sum := expOnlySum(logits, 1, largest)
	return math.Log(float64(sum)) - (float64(logits[target]) - float64(largest))
}

// ExpSum returns Σ exp((src-largest)·scale) in lane order and writes nothing:
// the denominator of a softmax. largest is usually that of a longer row, of
// which src is a part.
func ExpSum(src []float32, scale, largest float32) float32 {
	return expOnlySum(src, scale, largest)
}
