package kernels

// A Packed is a linear layer's weight w[N,K] laid out for serving: panels of
// PanelWidth() outputs, each [K][W], so that a product streams through memory
// once from front to back.
type Packed struct {
	N, K int

	width  int
	panels []float32 // [⌈N/W⌉][K][W], padded with zeros
}

// Pack lays out w[n,k] for LinearPacked. w itself is not kept.
func Pack(p *Pool, w []float32, n, k int) *Packed {
	need("Pack w", len(w), n*k)
	width := PanelWidth()
	q := &Packed{N: n, K: k, width: width}
	blocks := (n + width - 1) / width
	q.panels = make([]float32, blocks*k*width)
	p.Run(blocks, func(t, _ int) {
		panel := q.panels[t*k*width:]
		transposeRows(panel, width, w[t*width*k:], k, min(width, n-t*width), k, 0)
	})
	return q
}

// Row writes row j of the weight, K elements, to dst.
func (w *Packed) Row(j int, dst []float32) {
	need("Packed.Row dst", len(dst), w.K)
	panel := w.panels[j/w.width*w.K*w.width+j%w.width:]
	for i := range dst[:w.K] {
		dst[i] = panel[i*w.width]
	}
}

// LinearPacked computes y[m,N] = x[m,K]·wᵀ + bias with the bits of Linear.
func LinearPacked(p *Pool, y, x []float32, w *Packed, bias []float32, m int) {
	need("LinearPacked y", len(y), m*w.N)
	need("LinearPacked x", len(x), m*w.K)
	if bias != nil {
		need("LinearPacked bias", len(bias), w.N)
	}
	multiply(p, product{m: m, n: w.N, k: w.K, c: y, crs: w.N, a: x, ars: w.K, acs: 1, b: w.panels, panelStep: w.K * w.width, bias: bias})
}
