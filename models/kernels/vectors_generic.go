package kernels

import "math"

// The kernels along rows in plain Go: what the assembly of gen/vectors.go must
// match bit for bit. Products are converted before they are added to anything,
// lest the compiler fuse the two on processors where it may.

func expSumGeneric(dst, src []float32, scale, largest float32, sums *[lanes]float32) {
	for i, x := range src {
		e := exp32(float32((x - largest) * scale))
		dst[i] = e
		sums[i%lanes] += e
	}
}

func expOnlySumGeneric(src []float32, scale, largest float32, sums *[lanes]float32) {
	for i, x := range src {
		sums[i%lanes] += exp32(float32((x - largest) * scale))
	}
}

func expShiftGeneric(dst, src []float32, scale, shift float32) {
	for i, x := range src {
		dst[i] = exp32(fma32(x, scale, -shift))
	}
}

func maximumGeneric(x []float32, largest *[lanes]float32) {
	for i, v := range x {
		if v > largest[i%lanes] { // never so for NaN
			largest[i%lanes] = v
		}
	}
}

func sumGeneric(x []float32, sums *[lanes]float32) {
	for i, v := range x {
		sums[i%lanes] += v
	}
}

func dotGeneric(a, b []float32, sums *[lanes]float32) {
	for i, v := range a {
		sums[i%lanes] = fma32(v, b[i], sums[i%lanes])
	}
}

func squaredDeviationsGeneric(x []float32, mean float32, sums *[lanes]float32) {
	for i, v := range x {
		d := v - mean
		sums[i%lanes] = fma32(d, d, sums[i%lanes])
	}
}

func sumSquaresGeneric(x []float32, sums *[lanes]float64) {
	for i, v := range x {
		sums[i%lanes] += float64(v) * float64(v) // exact products: fused or not
	}
}

func axpyGeneric(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] = fma32(v, alpha, y[i])
	}
}

func scaleGeneric(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

func addGeneric(dst, a, b []float32) {
	for i, v := range a {
		dst[i] = v + b[i]
	}
}

func softmaxBackwardGeneric(ds, p, dp []float32, scale, dot float32) {
	for i, v := range p {
		ds[i] = float32(v*scale) * (dp[i] - dot)
	}
}

func geluGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = v * sigmoid2u(v)
	}
}

func geluBackwardGeneric(dx, dy, x []float32) {
	for i, v := range x {
		dx[i] = dy[i] * geluGrad32(v)
	}
}

func geluErfGeneric(y, x []float32) {
	for i, v := range x {
		y[i] = geluErf32(v)
	}
}

func geluErfBackwardGeneric(dx, dy, x []float32) {
	for i, v := range x {
		dx[i] = dy[i] * geluErfGrad32(v)
	}
}

func normalizeGeneric(y, x, gamma, beta []float32, mean, rstd float32) {
	for i, v := range x {
		y[i] = fma32(float32((v-mean)*rstd), gamma[i], beta[i])
	}
}

func normSumsGeneric(dy, x, gamma []float32, mean, rstd float32, sums, dots *[lanes]float32) {
	for i, v := range x {
		g, h := float32(dy[i]*gamma[i]), float32((v-mean)*rstd)
		sums[i%lanes] += g
		dots[i%lanes] = fma32(g, h, dots[i%lanes])
	}
}

func normGradGeneric(dx, dy, x, gamma []float32, mean, rstd, a, b float32) {
	for i, v := range x {
		g, h := float32(dy[i]*gamma[i]), float32((v-mean)*rstd)
		dx[i] = fma32(rstd, fma32(-h, b, g-a), dx[i])
	}
}

func normParamsGeneric(dgamma, dbeta, dy, x []float32, mean, rstd float32) {
	for i, v := range x {
		dgamma[i] = fma32(dy[i], float32((v-mean)*rstd), dgamma[i])
		dbeta[i] += dy[i]
	}
}

func adamWStepGeneric(w, g, m, v []float32, h *adamW) {
	for i := range w {
		gi := float32(g[i] * h.scale)
		mi := fma32(gi-m[i], h.mix1, m[i])
		vi := fma32(float32(h.mix2*gi), gi, float32(h.beta2*v[i]))
		m[i], v[i] = mi, vi
		root := float32(math.Sqrt(float64(vi)))
		w[i] = fma32(mi/fma32(root, h.invRoot2, h.eps), h.minusStep, float32(h.keep*w[i]))
	}
}
