package kernels

// Linear computes y[m,n] = x[m,k]·w[n,k]ᵀ + bias[n]; bias may be nil.
// Every element of y is one chain in the canonical order.
func Linear(p *Pool, y, x, w, bias []float32, m, n, k int) {
	need("Linear y", len(y), m*n)
	need("Linear x", len(x), m*k)
	need("Linear w", len(w), n*k)
	if bias != nil {
		need("Linear bias", len(bias), n)
	}
	multiply(p, product{m: m, n: n, k: k, c: y, crs: n, a: x, ars: k, acs: 1, b: w, brs: 1, bcs: k, bias: bias})
}

// LinearGradInput computes dx[m,k] = dy[m,n]·w[n,k], or adds to dx when
// accumulate is set: each element's chain then starts from what dx holds.
func LinearGradInput(p *Pool, dx, dy, w []float32, m, n, k int, accumulate bool) {
	need("LinearGradInput dx", len(dx), m*k)
	need("LinearGradInput dy", len(dy), m*n)
	need("LinearGradInput w", len(w), n*k)
	multiply(p, product{m: m, n: k, k: n, c: dx, crs: k, a: dy, ars: n, acs: 1, b: w, brs: k, bcs: 1, accumulate: accumulate})
}

// LinearGradWeight adds dy[m,n]ᵀ·x[m,k] to dw[n,k]. Each element's chain
// starts from what dw holds and takes the rows in order, so two calls with
// half of the rows each give the bits of one call with all of them.
func LinearGradWeight(p *Pool, dw, dy, x []float32, m, n, k int) {
	need("LinearGradWeight dw", len(dw), n*k)
	need("LinearGradWeight dy", len(dy), m*n)
	need("LinearGradWeight x", len(x), m*k)
	multiply(p, product{m: n, n: k, k: m, c: dw, crs: k, a: dy, ars: 1, acs: n, b: x, brs: k, bcs: 1, accumulate: true})
}

// ColumnSums adds the sum over rows of dy[m,n] to db[n], rows in order from
// what db holds.
func ColumnSums(p *Pool, db, dy []float32, m, n int) {
	need("ColumnSums db", len(db), n)
	need("ColumnSums dy", len(dy), m*n)
	forColumns(p, m, n, func(lo, hi int) {
		sum := db[lo:hi]
		for i := range m {
			addSpan(sum, sum, dy[i*n+lo:i*n+hi])
		}
	})
}

// columnBlock is the fewest columns one task of a column-wise sum takes.
const columnBlock = 128

// forColumns shares the columns [0,n) of a matrix of m rows between workers.
func forColumns(p *Pool, m, n int, f func(lo, hi int)) {
	if m*n <= span {
		f(0, n)
		return
	}
	each := max(columnBlock, roundUp((n+p.Threads()-1)/p.Threads(), block))
	p.Run((n+each-1)/each, func(task, _ int) {
		f(task*each, min(n, (task+1)*each))
	})
}
