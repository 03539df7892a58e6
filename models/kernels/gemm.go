package kernels

import "fmt"

// need panics when a buffer is shorter than the shape that came with it: the
// assembly has no bounds checks, so this is where a slip in a caller shows.
func need(what string, have, want int) {
	if want < 0 || have < want {
		panic(fmt.Sprintf("kernels: %s has %d elements, needs %d", what, have, want))
	}
}

// Gemm computes, on the caller's goroutine, the strided product
//
//	C(i,j) = c[i*crs+j] = Σ_p a[i*ars+p*acs] · b[p*brs+j*bcs]
//
// for i in [0,m), j in [0,n), p in [0,k), in the canonical order; with
// accumulate each chain starts from what C holds. s may be nil, at the price
// of a look for a free one.
func Gemm(s *Scratch, c []float32, crs int, a []float32, ars, acs int, b []float32, brs, bcs int, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	need("Gemm c", len(c), (m-1)*crs+n)
	if k > 0 {
		need("Gemm a", len(a), (m-1)*ars+(k-1)*acs+1)
		need("Gemm b", len(b), (k-1)*brs+(n-1)*bcs+1)
	}
	s.multiply(nil, product{m: m, n: n, k: k, c: c, crs: crs, a: a, ars: ars, acs: acs, b: b, brs: brs, bcs: bcs, accumulate: accumulate})
}

// GemmPanels is Gemm with B already in panels of W = PanelWidth() columns:
// panel t holds columns [t*W,(t+1)*W) as [k][W], contiguous from
// b[t*panelStride]; the last panel is padded with zeros. The results have the
// bits of Gemm's.
func GemmPanels(s *Scratch, c []float32, crs int, a []float32, ars, acs int, b []float32, panelStride int, m, n, k int, accumulate bool) {
	if m == 0 || n == 0 {
		return
	}
	w := PanelWidth()
	need("GemmPanels c", len(c), (m-1)*crs+n)
	if k > 0 {
		need("GemmPanels a", len(a), (m-1)*ars+(k-1)*acs+1)
		need("GemmPanels b", len(b), (n-1)/w*panelStride+k*w)
	}
	s.multiply(nil, product{m: m, n: n, k: k, c: c, crs: crs, a: a, ars: ars, acs: acs, b: b, panelStep: panelStride, accumulate: accumulate})
}

// PutKey writes the key of position t into the K panels of one head, laid out
// [T/W][d][W] with W = PanelWidth(): element p of the key goes to
// panels[(t/W)*d*W + p*W + t%W]. GemmPanels with panelStride d*W then gives
// queries·keysᵀ.
func PutKey(panels []float32, d, t int, key []float32) {
	w := PanelWidth()
	dst := panels[t/w*d*w+t%w:]
	for p, v := range key[:d] {
		dst[p*w] = v
	}
}

// PutValue writes the value of position t into the V panels of one head, laid
// out [⌈d/W⌉][capacity][W] with W = PanelWidth(): element j of the value goes
// to panels[(j/W)*capacity*W + t*W + j%W]. When W does not divide d the last
// panel's unused columns are left as they are, which must be zeros.
// GemmPanels with panelStride capacity*W gives probabilities·values.
func PutValue(panels []float32, d, capacity, t int, value []float32) {
	w := PanelWidth()
	for j := 0; j < d; j += w {
		copy(panels[j*capacity+t*w:], value[j:min(d, j+w)])
	}
}
