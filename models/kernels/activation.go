package kernels

import "math"

// The steps of exp32: x = n·ln 2 + r with |r| ≤ ln 2 / 2, then
// eˣ = 2ⁿ⁻¹ · 2eʳ, where 2eʳ is a polynomial fitted for the least relative
// error (3.1e-9 before rounding).
const (
	expMax   = 89    // above it the result is +Inf; eˣ overflows from 88.72 on
	expMin   = -86.9 // below it (1.8e-38) the result is 0
	log2E    = 1.4426950216293335
	ln2High  = 0.6931471824645996
	ln2Low   = -1.9046542121259336e-09
	roundBig = 3 << 22 // adding it rounds to an integer, found in the low bits
	expC2    = 2 * 0.4999999403953552
	expC3    = 2 * 0.1666652113199234
	expC4    = 2 * 0.04166838899254799
	expC5    = 2 * 0.00836874544620514
	expC6    = 2 * 0.0013814539415761828
)

// exp32 is the exponential that every path computes, bit for bit; off by at
// most 2 units in the last place. Results below 1.8e-38 are 0.
func exp32(x float32) float32 {
	if x < expMin {
		return 0
	}
	if x > expMax {
		x = expMax
	}
	t := fma32(x, log2E, roundBig)
	n := t - roundBig
	r := fma32(n, -ln2High, x)
	r = fma32(n, -ln2Low, r)
	q := fma32(expC6, r, expC5)
	q = fma32(q, r, expC4)
	q = fma32(q, r, expC3)
	q = fma32(q, r, expC2)
	q = fma32(q, r, 2)
	q = fma32(q, r, 2)
	return float32(q * math.Float32frombits(math.Float32bits(t)<<23+126<<23))
}

// Exp sets dst = eˣ for every x of src; dst may be src. Results are within 2
// units in the last place; those below 1.8e-38 are 0, above the range +Inf.
func Exp(dst, src []float32) {
	need("Exp dst", len(dst), len(src))
	ExpShift(dst, src, 1, 0)
}

// GELU, as GPT-2 has it (Hendrycks & Gimpel 2016, the tanh form):
//
//	gelu(x) = x/2·(1 + tanh u) = x·σ(2u),  u = √(2/π)·(x + 0.044715x³)
const (
	geluA = 1.5957691216057308 // 2·√(2/π)
	geluB = 0.044715
)

// sigmoid2u returns σ(2u) of GELU's u.
func sigmoid2u(x float32) float32 {
	t := fma32(float32(geluB*x), x, 1)
	return 1 / (1 + exp32(float32(float32(-geluA*x)*t)))
}

// geluGrad32 is the derivative: σ + x·σ(1-σ)·2u′.
func geluGrad32(x float32) float32 {
	s := sigmoid2u(x)
	du := float32(geluA * fma32(float32(3*geluB*x), x, 1))
	return fma32(float32(x*s)*(1-s), du, s)
}

// GELU sets y = gelu(x), element by element; y may be x.
func GELU(p *Pool, y, x []float32) {
	need("GELU y", len(y), len(x))
	p.forSpans(len(x), func(lo, hi int) {
		n := lo + whole(hi-lo)
		geluBlocks(y[lo:n], x[lo:n])
		geluGeneric(y[n:hi], x[n:hi])
	})
}

// GELUBackward sets dx = dy·gelu′(x), element by element; dx may be dy.
func GELUBackward(p *Pool, dx, dy, x []float32) {
	need("GELUBackward dx", len(dx), len(x))
	need("GELUBackward dy", len(dy), len(x))
	p.forSpans(len(x), func(lo, hi int) {
		n := lo + whole(hi-lo)
		geluBackwardBlocks(dx[lo:n], dy[lo:n], x[lo:n])
		geluBackwardGeneric(dx[n:hi], dy[n:hi], x[n:hi])
	})
}
