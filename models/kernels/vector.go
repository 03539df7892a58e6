package kernels

// lanes is how many partial sums a reduction along a row keeps. Element i goes
// to partial sum i%lanes, and the partial sums are folded in halves at the
// end: 16 into 16, 8 into 8, … This holds on every CPU path, so it is one order.
const lanes = 32

// fold adds up the partial sums, halving.
func fold(l *[lanes]float32) float32 {
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}

// Sum returns the sum of x in lane order.
func Sum(x []float32) float32 {
	var l [lanes]float32
	for i, v := range x {
		l[i%lanes] += v
	}
	return fold(&l)
}

// Dot returns a·b in lane order, over len(a) elements.
func Dot(a, b []float32) float32 {
	need("Dot b", len(b), len(a))
	var l [lanes]float32
	for i, v := range a {
		l[i%lanes] = fma32(v, b[i], l[i%lanes])
	}
	return fold(&l)
}

// Axpy adds alpha·x to y, element by element.
func Axpy(alpha float32, x, y []float32) {
	need("Axpy y", len(y), len(x))
	for i, v := range x {
		y[i] = fma32(alpha, v, y[i])
	}
}

// Scale multiplies x by alpha.
func Scale(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

// Add sets dst = a + b, element by element; dst may be a or b.
func Add(p *Pool, dst, a, b []float32) {
	need("Add dst", len(dst), len(a))
	need("Add b", len(b), len(a))
	p.forSpans(len(a), func(lo, hi int) {
		for i, v := range a[lo:hi] {
			dst[lo+i] = v + b[lo+i]
		}
	})
}

// SumSquares returns Σ x² in float64, in one fixed order.
func SumSquares(x []float32) float64 {
	var l [lanes]float64
	for i, v := range x {
		l[i%lanes] += float64(v) * float64(v)
	}
	for h := lanes / 2; h > 0; h /= 2 {
		for i := range h {
			l[i] += l[i+h]
		}
	}
	return l[0]
}
