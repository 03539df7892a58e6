package ops

import "causerie/models/kernels"

// Keys and values in 16 bits. A single row, which is what decoding has, is
// multiplied by them as they are; more rows are multiplied by panels that were
// widened before, which takes less than widening them for each.

// putHalf is put where keys and values are rounded to 16 bits.
func (h *headBlocks) putHalf(past, n int, k, v []float32, stride int) {
	size, s := h.size(), h.scratch
	keys, values := growHalf(&s.halfKeys, n*size), growHalf(&s.halfValues, n*size)
	for i := range n {
		kernels.ToHalf(keys[i*size:(i+1)*size], k[i*stride:i*stride+size])
		kernels.ToHalf(values[i*size:(i+1)*size], v[i*stride:i*stride+size])
	}
	if h.cached == nil {
		rows := grow(&s.keyRows, 2*n*size)
		kernels.FromHalf(rows[:n*size], keys)
		kernels.FromHalf(rows[n*size:2*n*size], values)
		h.whole.put(past, n, rows, rows[n*size:], size)
		return
	}
	h.each(past, past+n, func(p headPanels, first, lo, hi int) {
		skip := (first + lo - past) * size
		scatterColumns(p.halfKeys, keys[skip:], lo, hi-lo, size)
		packRows(p.halfValues, values[skip:], size, lo, hi-lo, size, p.capacity)
	})
}

// size is the size of the head.
func (h *headBlocks) size() int {
	if h.cached == nil {
		return h.whole.size
	}
	return h.cached[0].shape.Size
}

// scatterColumns is packColumns of rows that lie side by side.
func scatterColumns(panels, rows []uint16, past, n, size int) {
	w := kernels.PanelWidth()
	for i := range n {
		at := past + i
		panel := panels[at/w*size*w+at%w:]
		for c, x := range rows[i*size : (i+1)*size] {
			panel[c*w] = x
		}
	}
}

// widenKeys makes float32 panels of the first n keys, if they are not that.
func (h *headPanels) widenKeys(n int, s *attentionScratch) {
	if h.halfKeys != nil {
		n = padded(n) * h.size
		h.keys = grow(&s.keys, n)
		kernels.FromHalf(h.keys, h.halfKeys[:n])
	}
}

// widenValues does so with the first n values.
func (h *headPanels) widenValues(n int, s *attentionScratch) {
	if h.halfValues == nil {
		return
	}
	w := kernels.PanelWidth()
	h.values = grow(&s.values, len(h.halfValues))
	for at := 0; at < len(h.values); at += h.capacity * w {
		kernels.FromHalf(h.values[at:at+n*w], h.halfValues[at:at+n*w])
	}
}

// growHalf is grow for 16-bit floats.
func growHalf(buf *[]uint16, n int) []uint16 {
	if cap(*buf) < n {
		*buf = make([]uint16, capacity(n))
	}
	return (*buf)[:n]
}
