package kernels

// Training in bfloat16 rounds both operands of a product, and sums in float32 as
// a BFloat16 weight's product does (bfloat16.go), except that a chain may start
// from what C holds:
//
//	acc = bias-free C, or 0
//	for each pair of elements (p, p+1) of k {
//		acc = fma(a[p+1], b[p+1], acc)
//		acc = fma(a[p], b[p], acc)
//	}
//	c = acc + bias
//
// with zero for what lacks of the last pair, and denormals taken for zero everywhere, in acc too, as VDPBF16PS does. So the
// bits are the same on processors that lack it, where this is slow.
//
// The blocking is that of float32 products with a pair in the place of an
// element: a word of 32 bits in panels and tiles that are made of such.

// FastBFloat16 tells whether this processor multiplies pairs of bfloat16 values
// with an instruction, which takes half the time of float32. Otherwise the
// functions below do the same in plain Go.
func FastBFloat16() bool { return active == pathAVX512 && instructions.pairs }

// LinearBFloat16 is [Linear] with both operands rounded to bfloat16.
func LinearBFloat16(p *Pool, y, x, w, bias []float32, m, n, k int) {
	need("LinearBFloat16 y", len(y), m*n)
	need("LinearBFloat16 x", len(x), m*k)
	need("LinearBFloat16 w", len(w), n*k)
	if bias != nil {
		need("LinearBFloat16 bias", len(bias), n)
	}
	multiply(p, product{m: m, n: n, k: k, c: y, crs: n, a: x, ars: k, acs: 1, b: w, brs: 1, bcs: k, bias: bias}.inPairs())
}

// LinearGradInputBFloat16 is [LinearGradInput] with both operands rounded to
// bfloat16.
func LinearGradInputBFloat16(p *Pool, dx, dy, w []float32, m, n, k int, accumulate bool) {
	need("LinearGradInputBFloat16 dx", len(dx), m*k)
	need("LinearGradInputBFloat16 dy", len(dy), m*n)
	need("LinearGradInputBFloat16 w", len(w), n*k)
	multiply(p, product{m: m, n: k, k: n, c: dx, crs: k, a: dy, ars: n, acs: 1, b: w, brs: k, bcs: 1, accumulate: accumulate}.inPairs())
}

// LinearGradWeightBFloat16 is [LinearGradWeight] with both operands rounded to
// bfloat16. Two calls with half of the rows each give the bits of one call with
// all of them if the first half is an even number.
func LinearGradWeightBFloat16(p *Pool, dw, dy, x []float32, m, n, k int) {
	need("LinearGradWeightBFloat16 dw", len(dw), n*k)
	need("LinearGradWeightBFloat16 dy", len(dy), m*n)
	need("LinearGradWeightBFloat16 x", len(x), m*k)
	multiply(p, product{m: n, n: k, k: m, c: dw, crs: k, a: dy, ars: 1, acs: n, b: x, brs: k, bcs: 1, accumulate: true}.inPairs())
}

// inPairs makes the product one of pairs: k counts pairs from here on, and what
// is packed are words of two bfloat16 values. The operands are as they were.
func (g product) inPairs() product {
	g.pairs, g.floats, g.k = true, g.k, (g.k+1)/2
	return g
}

// packPairs rounds count rows, or columns, of an operand from its pair p on:
// dst[q*dstep+i] is made of elements 2(p+q) and 2(p+q)+1 of number i. Numbers are
// step apart in src, elements kstep. What lacks of a last pair is zero.
func (g *product) packPairs(s *Scratch, dst []float32, dstep int, src []float32, step, kstep, count, p, pairs int) {
	whole := min(pairs, g.floats/2-p)
	src = src[2*p*kstep:]
	switch {
	case step == 1 && FastBFloat16():
		roundColumnPairs(dst, dstep, src, kstep, count, whole)
	case kstep == 1:
		words := grow(&s.pairs, count*pairs)
		for i := range count {
			roundPairs(words[i*pairs:(i+1)*pairs], src[i*step:i*step+min(2*pairs, g.floats-2*p)])
		}
		transposeRows(dst, dstep, words, pairs, count, pairs, 0)
		return
	default:
		whole = 0
	}
	for q := whole; q < pairs; q++ {
		for i := range count {
			first, second := src[i*step+2*q*kstep], float32(0)
			if 2*(p+q)+1 < g.floats {
				second = src[i*step+(2*q+1)*kstep]
			}
			dst[q*dstep+i] = pairOf(first, second)
		}
	}
}
