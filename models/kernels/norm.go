package kernels

import "math"

// LayerNorm normalises every row of x[rows,width]: with the row's mean and
// rstd = 1/√(variance + eps), y = (x - mean)·rstd·gamma + beta. mean[rows] and
// rstd[rows] are kept for LayerNormBackward; both may be nil. y may be x.
func LayerNorm(p *Pool, y, mean, rstd, x, gamma, beta []float32, rows, width int, eps float32) {
	need("LayerNorm y", len(y), rows*width)
	need("LayerNorm x", len(x), rows*width)
	need("LayerNorm gamma", len(gamma), width)
	need("LayerNorm beta", len(beta), width)
	if mean != nil {
		need("LayerNorm mean", len(mean), rows)
	}
	if rstd != nil {
		need("LayerNorm rstd", len(rstd), rows)
	}
	forRows(p, rows, width, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			mu, r := normRow(y[i*width:(i+1)*width], x[i*width:(i+1)*width], gamma, beta, eps)
			if mean != nil {
				mean[i] = mu
			}
			if rstd != nil {
				rstd[i] = r
			}
		}
	})
}

func normRow(y, x, gamma, beta []float32, eps float32) (mean, rstd float32) {
	mean = Sum(x) / float32(len(x))
	var l [lanes]float32
	for i, v := range x {
		d := v - mean
		l[i%lanes] = fma32(d, d, l[i%lanes])
	}
	rstd = 1 / float32(math.Sqrt(float64(fold(&l)/float32(len(x))+eps)))
	for i, v := range x {
		y[i] = fma32((v-mean)*rstd, gamma[i], beta[i])
	}
	return mean, rstd
}

// LayerNormBackward adds the gradient of LayerNorm's input to dx, and those of
// gamma and beta, summed over the rows in order, to dgamma and dbeta. x, mean
// and rstd are LayerNorm's own. dx must not be dy.
func LayerNormBackward(p *Pool, dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32, rows, width int) {
	need("LayerNormBackward dx", len(dx), rows*width)
	need("LayerNormBackward dy", len(dy), rows*width)
	need("LayerNormBackward x", len(x), rows*width)
	need("LayerNormBackward mean", len(mean), rows)
	need("LayerNormBackward rstd", len(rstd), rows)
	need("LayerNormBackward gamma", len(gamma), width)
	need("LayerNormBackward dgamma", len(dgamma), width)
	need("LayerNormBackward dbeta", len(dbeta), width)
	forRows(p, rows, width, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			normRowBackward(dx[i*width:(i+1)*width], dy[i*width:(i+1)*width], x[i*width:(i+1)*width], gamma[:width], mean[i], rstd[i])
		}
	})
	forColumns(p, rows, width, func(lo, hi int) {
		for i := range rows {
			mu, r := mean[i], rstd[i]
			for j := lo; j < hi; j++ {
				g := dy[i*width+j]
				dgamma[j] = fma32(g, (x[i*width+j]-mu)*r, dgamma[j])
				dbeta[j] += g
			}
		}
	})
}

// normRowBackward adds rstd·(g - mean(g) - x̂·mean(g·x̂)) to dx, where g is
// dy·gamma and x̂ the normalised row.
func normRowBackward(dx, dy, x, gamma []float32, mean, rstd float32) {
	var sums, dots [lanes]float32
	for j, v := range x {
		g, h := dy[j]*gamma[j], (v-mean)*rstd
		sums[j%lanes] += g
		dots[j%lanes] = fma32(g, h, dots[j%lanes])
	}
	n := float32(len(x))
	a, b := fold(&sums)/n, fold(&dots)/n
	for j, v := range x {
		g, h := dy[j]*gamma[j], (v-mean)*rstd
		dx[j] = fma32(rstd, fma32(-h, b, g-a), dx[j])
	}
}

// forRows shares the rows of a matrix between workers.
func forRows(p *Pool, rows, width int, f func(lo, hi int)) {
	if rows*width <= span {
		f(0, rows)
		return
	}
	each := max(1, span/max(1, width))
	p.Run((rows+each-1)/each, func(task, _ int) {
		f(task*each, min(rows, (task+1)*each))
	})
}
