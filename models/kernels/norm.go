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
	normRows(p, y, mean, rstd, x, nil, gamma, beta, rows, width, eps)
}

// AddLayerNorm is LayerNorm of x + f: the bits of Add and then LayerNorm, in
// one pass over memory. y may be x or f.
func AddLayerNorm(p *Pool, y, mean, rstd, x, f, gamma, beta []float32, rows, width int, eps float32) {
	need("AddLayerNorm y", len(y), rows*width)
	need("AddLayerNorm x", len(x), rows*width)
	need("AddLayerNorm f", len(f), rows*width)
	need("AddLayerNorm gamma", len(gamma), width)
	need("AddLayerNorm beta", len(beta), width)
	if mean != nil {
		need("AddLayerNorm mean", len(mean), rows)
	}
	if rstd != nil {
		need("AddLayerNorm rstd", len(rstd), rows)
	}
	normRows(p, y, mean, rstd, x, f, gamma, beta, rows, width, eps)
}

// normRows normalises the rows of x, or of x + f when there is an f.
func normRows(p *Pool, y, mean, rstd, x, f, gamma, beta []float32, rows, width int, eps float32) {
	forRows(p, rows, width, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row, out := x[i*width:(i+1)*width], y[i*width:(i+1)*width]
			if f != nil {
				addSpan(out, row, f[i*width:(i+1)*width])
				row = out
			}
			mu, r := normRow(out, row, gamma[:width], beta[:width], eps)
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
	variance := squaredDeviations(x, mean) / float32(len(x))
	rstd = float32(1 / math.Sqrt(float64(variance)+float64(eps)))
	n := whole(len(x))
	normalizeBlocks(y[:n], x[:n], gamma[:n], beta[:n], mean, rstd)
	normalizeGeneric(y[n:], x[n:], gamma[n:], beta[n:], mean, rstd)
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
		n := lo + whole(hi-lo)
		for i := range rows {
			dyRow, xRow := dy[i*width:(i+1)*width], x[i*width:(i+1)*width]
			normParamsBlocks(dgamma[lo:n], dbeta[lo:n], dyRow[lo:n], xRow[lo:n], mean[i], rstd[i])
			normParamsGeneric(dgamma[n:hi], dbeta[n:hi], dyRow[n:hi], xRow[n:hi], mean[i], rstd[i])
		}
	})
}

// normRowBackward adds rstd·(g - mean(g) - x̂·mean(g·x̂)) to dx, where g is
// dy·gamma and x̂ the normalised row.
func normRowBackward(dx, dy, x, gamma []float32, mean, rstd float32) {
	var sums, dots [lanes]float32
	n := whole(len(x))
	normSumsBlocks(dy[:n], x[:n], gamma[:n], mean, rstd, &sums, &dots)
	if n < len(x) {
		// Zeros for dy and gamma make the padding add nothing.
		tdy, tx, tgamma := padded(dy, 0), padded(x, mean), padded(gamma, 0)
		normSumsBlocks(tdy[:], tx[:], tgamma[:], mean, rstd, &sums, &dots)
	}
	a, b := fold(&sums)/float32(len(x)), fold(&dots)/float32(len(x))
	normGradBlocks(dx[:n], dy[:n], x[:n], gamma[:n], mean, rstd, a, b)
	normGradGeneric(dx[n:], dy[n:], x[n:], gamma[n:], mean, rstd, a, b)
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
