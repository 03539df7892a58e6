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
	if m == 1 && acs == 1 {
		rowTimesPanels(c, a, b, panelStride, n, k, accumulate)
		return
	}
	s.multiply(nil, product{m: m, n: n, k: k, c: c, crs: crs, a: a, ars: ars, acs: acs, b: b, panelStep: panelStride, accumulate: accumulate})
}

// rowTimesPanels is GemmPanels for one row, which is what attention does when
// it decodes: one pass over panels that come from memory, with nothing to
// block or to share.
func rowTimesPanels(c, a, b []float32, panelStride, n, k int, accumulate bool) {
	const ahead = 1 << 10 // elements
	w := PanelWidth()
	t := tileArgs{k: k, a: a, byRow: true, bstep: w, bpanel: panelStride, ahead: ahead, rows: 1}
	if accumulate {
		t.load = 1
	}
	for j := 0; j < n; j += t.panels * w {
		t.panels = 1
		for _, wide := range shapes[active].lone {
			if j+wide*w <= n {
				t.panels = wide
				break
			}
		}
		t.cols = min(w, n-j)
		t.c = c[j:]
		if k > 0 {
			t.b = b[j/w*panelStride:]
		}
		t.run()
	}
}

// Transpose sets dst[c*dstStride+r] = src[r*srcStride+c] for r in [0,rows), c
// in [0,cols), and writes nothing else: rows become columns of a panel.
func Transpose(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	need("Transpose dst", len(dst), (cols-1)*dstStride+rows)
	need("Transpose src", len(src), (rows-1)*srcStride+cols)
	exact := rows
	if active == pathAVX2 {
		exact &^= 7 // what it writes of fewer rows is 8 wide
	}
	transposeRows(dst, dstStride, src, srcStride, exact, cols, 0)
	if exact < rows {
		transposeGeneric(dst[exact:], dstStride, src[exact*srcStride:], srcStride, rows-exact, cols)
	}
}
