package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// onPaths runs a test on every path this processor has.
func onPaths(t *testing.T, f func(t *testing.T)) {
	was := active
	defer func() { active = was }()
	for p := pathGeneric; p <= bestPath(); p++ {
		active = p
		t.Run(p.String(), f)
	}
	active = pathGeneric
	squares = !squares
	defer func() { squares = !squares }()
	t.Run("the other generic", f)
}

// reference is the canonical order, spelt out.
func reference(g *product) []float32 {
	c := append([]float32(nil), g.c...)
	for i := range g.m {
		for j := range g.n {
			var acc float32
			if g.accumulate {
				acc = c[i*g.crs+j]
			}
			for p := range g.k {
				acc = fma32(g.a[i*g.ars+p*g.acs], g.b[p*g.brs+j*g.bcs], acc)
			}
			if g.bias != nil {
				acc += g.bias[j]
			}
			c[i*g.crs+j] = acc
		}
	}
	return c
}

// randomProduct makes a product of random layout.
func randomProduct(r *rand.Rand, m, n, k int) *product {
	g := &product{m: m, n: n, k: k, crs: n + r.IntN(3), accumulate: r.IntN(2) == 0}
	g.ars, g.acs = strides(r, m, k)
	g.brs, g.bcs = strides(r, k, n)
	g.c = random(r, m*g.crs)
	g.a = random(r, max(0, m-1)*g.ars+max(0, k-1)*g.acs+1)
	g.b = random(r, max(0, k-1)*g.brs+max(0, n-1)*g.bcs+1)
	if r.IntN(2) == 0 {
		g.bias = random(r, n)
	}
	return g
}

// strides lays out a matrix by rows, by columns, or with gaps both ways.
func strides(r *rand.Rand, rows, cols int) (rs, cs int) {
	switch r.IntN(5) {
	case 0, 1:
		return cols + r.IntN(4), 1
	case 2, 3:
		return 1, rows + r.IntN(4)
	}
	return 2*cols + 3, 2
}

// A productCase is a product and what it must give, whatever the path.
type productCase struct {
	product
	want []float32
}

func newProductCase(r *rand.Rand, m, n, k int) productCase {
	g := randomProduct(r, m, n, k)
	return productCase{*g, reference(g)}
}

func (c *productCase) check(t *testing.T, pool *Pool, s *Scratch) {
	t.Helper()
	g := c.product
	g.c = clone(g.c)
	s.multiply(pool, g)
	sameBits(t, fmt.Sprintf("%dx%dx%d a(%d,%d) b(%d,%d)", g.m, g.n, g.k, g.ars, g.acs, g.brs, g.bcs), g.c, c.want)
}

func TestProductsKeepTheCanonicalOrder(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	r := newRand(3)
	var small, large []productCase
	for range 150 {
		small = append(small, newProductCase(r, r.IntN(40), r.IntN(150), r.IntN(70)))
	}
	// Sizes that reach every level of the blocking.
	for _, size := range [][3]int{{1, 700, 600}, {5, 300, 300}, {13, 129, 513}, {250, 65, 257}, {60, 200, 260}, {500, 33, 20}, {250, 130, 260}, {700, 129, 30}} {
		for range 2 {
			large = append(large, newProductCase(r, size[0], size[1], size[2]))
		}
	}
	onPaths(t, func(t *testing.T) {
		var s Scratch
		for i := range small {
			small[i].check(t, nil, &s)
		}
		for i := range large {
			large[i].check(t, pool, nil)
		}
	})
}

func FuzzProduct(f *testing.F) {
	f.Add(uint64(1), uint16(13), uint16(70), uint16(20))
	f.Add(uint64(2), uint16(1), uint16(300), uint16(260))
	f.Fuzz(func(t *testing.T, seed uint64, m, n, k uint16) {
		c := newProductCase(newRand(seed), int(m)%64, int(n)%300, int(k)%300)
		onPaths(t, func(t *testing.T) { c.check(t, nil, new(Scratch)) })
	})
}

// panelsOf lays out B, given by rows, as GemmPanels wants it.
func panelsOf(b []float32, k, n, stride int) []float32 {
	w := PanelWidth()
	out := make([]float32, (n+w-1)/w*stride)
	for p := range k {
		for j := range n {
			out[j/w*stride+p*w+j%w] = b[p*n+j]
		}
	}
	return out
}

// TestOneRowManyWays: the same row by every entry point, alone and in company.
func TestOneRowManyWays(t *testing.T) {
	const n, k, most = 150, 333, 30
	r := newRand(4)
	x, w, bias := random(r, most*k), random(r, n*k), random(r, n)
	one, two := NewPool(1), NewPool(2)
	defer one.Close()
	defer two.Close()
	var want []float32 // of every path: they share their bits
	onPaths(t, func(t *testing.T) {
		packed := Pack(two, w, n, k, Float32)
		var s Scratch
		wT := make([]float32, k*n)
		for j := range n {
			for p := range k {
				wT[p*n+j] = w[j*k+p]
			}
		}
		stride := k*PanelWidth() + 16
		panels := panelsOf(wT, k, n, stride)
		for m := 1; m <= most; m++ {
			y := make([]float32, m*n)
			check := func(what string) {
				t.Helper()
				if want == nil {
					want = append(want, y...)
				}
				sameBits(t, fmt.Sprintf("%s of %d rows", what, m), y[:n], want[:n])
				if len(y) > len(want) {
					want = append(want[:0], y...)
				}
				sameBits(t, fmt.Sprintf("%s of %d rows", what, m), y, want[:m*n])
				clear(y)
			}
			Linear(one, y, x, w, bias, m, n, k)
			check("Linear")
			Linear(two, y, x, w, bias, m, n, k)
			check("Linear, two threads")
			LinearPacked(one, y, x, packed, bias, m)
			check("LinearPacked")
			LinearPacked(two, y, x, packed, bias, m)
			check("LinearPacked, two threads")
			Gemm(&s, y, n, x, k, 1, w, 1, k, m, n, k, false)
			addRows(y, bias)
			check("Gemm")
			GemmPanels(&s, y, n, x, k, 1, panels, stride, m, n, k, false)
			addRows(y, bias)
			check("GemmPanels")
		}
		row := make([]float32, k)
		for j := range n {
			packed.Row(j, row)
			sameBits(t, "Packed.Row", row, w[j*k:(j+1)*k])
		}
	})
}

func addRows(y, bias []float32) {
	for i := range y {
		y[i] += bias[i%len(bias)]
	}
}

// TestGradientsInParts: gradients of a batch, whole and in two halves.
func TestGradientsInParts(t *testing.T) {
	const m, n, k = 70, 90, 110
	r := newRand(5)
	x, dy, w := random(r, m*k), random(r, m*n), random(r, n*k)
	pool := NewPool(2)
	defer pool.Close()
	var want []float32
	onPaths(t, func(t *testing.T) {
		whole, parts := make([]float32, n*k+n), make([]float32, n*k+n)
		LinearGradWeight(pool, whole, dy, x, m, n, k)
		ColumnSums(pool, whole[n*k:], dy, m, n)
		for _, half := range [][2]int{{0, 31}, {31, m}} {
			lo, hi := half[0], half[1]
			LinearGradWeight(nil, parts, dy[lo*n:], x[lo*k:], hi-lo, n, k)
			ColumnSums(nil, parts[n*k:], dy[lo*n:], hi-lo, n)
		}
		sameBits(t, "halves", parts, whole)
		if want == nil {
			want = whole
		}
		sameBits(t, "paths", whole, want)

		dx, row := make([]float32, m*k), make([]float32, k)
		LinearGradInput(pool, dx, dy, w, m, n, k, false)
		for i := range m {
			LinearGradInput(nil, row, dy[i*n:], w, 1, n, k, false)
			sameBits(t, "row of dx", dx[i*k:(i+1)*k], row)
		}
	})
}

// TestTransposeWritesNothingElse: other positions of a panel are left alone.
func TestTransposeWritesNothingElse(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		r := newRand(6)
		for range 200 {
			rows, cols := 1+r.IntN(40), 1+r.IntN(70)
			dstStride, srcStride := rows+r.IntN(9), cols+r.IntN(9)
			src, dst := random(r, rows*srcStride), random(r, cols*dstStride)
			want := clone(dst)
			for i := range rows {
				for p := range cols {
					want[p*dstStride+i] = src[i*srcStride+p]
				}
			}
			Transpose(dst, dstStride, src, srcStride, rows, cols)
			sameBits(t, fmt.Sprintf("%d rows of %d", rows, cols), dst, want)
		}
	})
}
