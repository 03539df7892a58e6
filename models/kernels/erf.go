package kernels

import "math"

// The exact GELU (Hendrycks & Gimpel 2016), x·Φ(x) with Φ the standard normal
// distribution, which BERT uses. With a = |x| and the upper tail Q(a) = 1-Φ(a),
//
//	gelu(x) = max(x, 0) - a·Q(a),
//
// which loses nothing to cancellation on either side. Q(a)·exp(a²/2), the Mills
// ratio but for a factor, falls smoothly and is u·P(u) with u = 1/(1+erfP·a),
// where P is a polynomial fitted for the least relative error on [0, erfMax]
// (3.1e-8 before rounding). Beyond erfMax the tail is 0 in float32.
const (
	erfMax = 14
	erfP   = 0.34
	erfC0  = 0.1356205
	erfC1  = 0.13611224
	erfC2  = 0.11519733
	erfC3  = 0.11536069
	erfC4  = -0.04472262
	erfC5  = 0.2021896
	erfC6  = -0.27313962
	erfC7  = 0.13950322
	erfC8  = -0.02612133

	invSqrt2Pi = 0.3989422804014327
)

// upperTail returns a = min(|x|, erfMax), e = exp(-a²/2) and Q(a).
func upperTail(x float32) (a, e, q float32) {
	a = math.Float32frombits(math.Float32bits(x) &^ (1 << 31))
	if a > erfMax {
		a = erfMax
	}
	e = exp32(float32(float32(-0.5*a) * a))
	u := 1 / fma32(erfP, a, 1)
	q = fma32(erfC8, u, erfC7)
	q = fma32(q, u, erfC6)
	q = fma32(q, u, erfC5)
	q = fma32(q, u, erfC4)
	q = fma32(q, u, erfC3)
	q = fma32(q, u, erfC2)
	q = fma32(q, u, erfC1)
	q = fma32(q, u, erfC0)
	return a, e, float32(float32(q*u) * e)
}

func geluErf32(x float32) float32 {
	a, _, q := upperTail(x)
	positive := float32(0)
	if x > 0 {
		positive = x
	}
	return fma32(-a, q, positive)
}

// geluErfGrad32 is the derivative Φ(x) + x·φ(x), where Φ(x) = ½ ± (½ - Q(a)).
func geluErfGrad32(x float32) float32 {
	const sign = 1 << 31
	a, e, q := upperTail(x)
	s := math.Float32bits(x) & sign
	phi := 0.5 + math.Float32frombits(math.Float32bits(0.5-q)^s)
	return fma32(float32(invSqrt2Pi*math.Float32frombits(math.Float32bits(a)|s)), e, phi)
}

// GELUErf sets y = x·Φ(x), element by element; y may be x. It is off by less
// than 1.5e-7 of |x|.
func GELUErf(p *Pool, y, x []float32) {
	need("GELUErf y", len(y), len(x))
	p.forSpans(len(x), func(lo, hi int) {
		n := lo + whole(hi-lo)
		geluErfBlocks(y[lo:n], x[lo:n])
		geluErfGeneric(y[n:hi], x[n:hi])
	})
}

// GELUErfBackward sets dx = dy·(Φ(x) + x·φ(x)), element by element; dx may be dy.
func GELUErfBackward(p *Pool, dx, dy, x []float32) {
	need("GELUErfBackward dx", len(dx), len(x))
	need("GELUErfBackward dy", len(dy), len(x))
	p.forSpans(len(x), func(lo, hi int) {
		n := lo + whole(hi-lo)
		geluErfBackwardBlocks(dx[lo:n], dy[lo:n], x[lo:n])
		geluErfBackwardGeneric(dx[n:hi], dy[n:hi], x[n:hi])
	})
}
