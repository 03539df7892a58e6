package kernels

import "math"

// lanes is how many partial sums a reduction along a row keeps. Element i goes
// to partial sum i%lanes, and the partial sums are folded in halves at the
// end: 16 onto 16, 8 onto 8, … This holds on every CPU path, so it is one
// order; and what would only add zeros at the end of a row may be left out.
const lanes = 32

// block is how many elements the kernels along rows take at a time: one for
// each partial sum. What is left of a row goes through a padded block.
const block = lanes

// whole is how many of n elements make whole blocks.
func whole(n int) int { return n &^ (block - 1) }

// padded returns the last elements of x, those that make no whole block, as a
// block filled up with pad.
func padded(x []float32, pad float32) (b [block]float32) {
	n := copy(b[:], x[whole(len(x)):])
	if pad != 0 {
		for i := n; i < block; i++ {
			b[i] = pad
		}
	}
	return b
}

// foldGeneric adds up the partial sums, halving.
func foldGeneric(l *[lanes]float32) float32 {
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// foldMaximumGeneric is the same for maxima.
func foldMaximumGeneric(l *[lanes]float32) float32 {
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			if l[i+h] > l[i] {
				l[i] = l[i+h]
			}
		}
	}
	return l[0]
}

// Sum returns the sum of x in lane order.
func Sum(x []float32) float32 {
	var l [lanes]float32
	n := whole(len(x))
	sumBlocks(x[:n], &l)
	if n < len(x) {
		b := padded(x, 0)
		sumBlocks(b[:], &l)
	}
	return fold(&l)
}

// Max returns the largest element of x, -Inf for none; NaN is passed over.
func Max(x []float32) float32 {
	negative := float32(math.Inf(-1))
	var l [lanes]float32
	for i := range l {
		l[i] = negative
	}
	n := whole(len(x))
	maximumBlocks(x[:n], &l)
	if n < len(x) {
		b := padded(x, negative)
		maximumBlocks(b[:], &l)
	}
	return foldMaximum(&l)
}

// Dot returns a·b in lane order, over len(a) elements.
func Dot(a, b []float32) float32 {
	need("Dot b", len(b), len(a))
	var l [lanes]float32
	n := whole(len(a))
	dotBlocks(a[:n], b[:n], &l)
	if n < len(a) {
		ta, tb := padded(a, 0), padded(b[:len(a)], 0)
		dotBlocks(ta[:], tb[:], &l)
	}
	return fold(&l)
}

// squaredDeviations returns Σ (x-mean)² in lane order.
func squaredDeviations(x []float32, mean float32) float32 {
	var l [lanes]float32
	n := whole(len(x))
	squaredDeviationsBlocks(x[:n], mean, &l)
	if n < len(x) {
		b := padded(x, mean)
		squaredDeviationsBlocks(b[:], mean, &l)
	}
	return fold(&l)
}

// magnitude returns max |x| and Σ x², in lane order. NaN shows in the latter.
func magnitude(x []float32) (largest, squares float32) {
	var l, q [lanes]float32
	n := whole(len(x))
	magnitudeBlocks(x[:n], &l, &q)
	if n < len(x) {
		b := padded(x, 0)
		magnitudeBlocks(b[:], &l, &q)
	}
	return foldMaximum(&l), fold(&q)
}

// SumSquares returns Σ x² in float64, in lane order.
func SumSquares(x []float32) float64 {
	var l [lanes]float64
	n := whole(len(x))
	sumSquaresBlocks(x[:n], &l)
	if n < len(x) {
		b := padded(x, 0)
		sumSquaresBlocks(b[:], &l)
	}
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// Axpy adds alpha·x to y, element by element.
func Axpy(alpha float32, x, y []float32) {
	need("Axpy y", len(y), len(x))
	n := whole(len(x))
	axpyBlocks(alpha, x[:n], y[:n])
	axpyGeneric(alpha, x[n:], y[n:])
}

// Scale multiplies x by alpha.
func Scale(alpha float32, x []float32) {
	n := whole(len(x))
	scaleBlocks(alpha, x[:n])
	scaleGeneric(alpha, x[n:])
}

// Add sets dst = a + b, element by element; dst may be a or b.
func Add(p *Pool, dst, a, b []float32) {
	need("Add dst", len(dst), len(a))
	need("Add b", len(b), len(a))
	p.forSpans(len(a), func(lo, hi int) {
		addSpan(dst[lo:hi], a[lo:hi], b[lo:hi])
	})
}

func addSpan(dst, a, b []float32) {
	n := whole(len(a))
	addBlocks(dst[:n], a[:n], b[:n])
	addGeneric(dst[n:], a[n:], b[n:])
}
