package kernels

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"causerie/models/float16"
)

// A Packed is a linear layer's weight w[N,K] laid out for serving: panels of
// PanelWidth() outputs, so that a product streams through memory once from
// front to back. A panel is
//
//	Float32   [K][W] values
//	BFloat16  [K/2][W] words of 2 values
//	Int8      [K/4][W] words of 4 values, each plus 128
//
// where K is rounded up to a multiple of 8 for the latter two. What pads the
// last panel and K is zero.
type Packed struct {
	N, K int

	dtype  DType
	width  int       // W
	floats []float32 // Float32
	narrow []uint32  // the panels of the other types
	scales []float32 // Int8: one for each output

	next *Packed // see Precedes
}

// PackRows is the step in which rows are filled in: Fill and its like start at
// a multiple of it.
const PackRows = 64

// NewPacked returns a weight of n outputs and k inputs, to be filled in.
func NewPacked(n, k int, d DType) *Packed {
	w := &Packed{N: n, K: k, dtype: d, width: PanelWidth()}
	panels := (n + w.width - 1) / w.width
	switch d {
	case Float32:
		w.floats = MakeHuge[float32](panels * w.width * k)
	case BFloat16:
		w.narrow = MakeHuge[uint32](panels * w.width * w.steps())
	case Int8:
		w.narrow = MakeHuge[uint32](panels * w.width * w.steps())
		w.scales = make([]float32, panels*w.width)
	default:
		panic(fmt.Sprintf("kernels: NewPacked: no such type %v", d))
	}
	return w
}

// Pack lays out w[n,k] for LinearPacked. w itself is not kept.
func Pack(p *Pool, w []float32, n, k int, d DType) *Packed {
	need("Pack w", len(w), n*k)
	q := NewPacked(n, k, d)
	q.Fill(p, 0, w[:n*k])
	return q
}

// DType tells how the values are stored.
func (w *Packed) DType() DType { return w.dtype }

// Bytes is the memory that the weight takes.
func (w *Packed) Bytes() int64 {
	return 4 * int64(len(w.floats)+len(w.narrow)+len(w.scales))
}

// Fill sets rows from the given one on, len(rows)/K of them, rounding their
// values to the weight's type. first is a multiple of PackRows, and so is
// their number unless they are the last.
func (w *Packed) Fill(p *Pool, first int, rows []float32) {
	w.fill(p, first, len(rows), func(panel, j, count int) {
		src := rows[(j-first)*w.K:]
		switch w.dtype {
		case Float32:
			transposeRows(w.floats[panel*w.K*w.width:], w.width, src, w.K, count, w.K, 0)
		case BFloat16:
			h := make([]uint16, count*w.K)
			for i := range h {
				h[i] = ToBFloat16(src[i])
			}
			w.fillPanelBFloat16(panel, count, h)
		case Int8:
			q := make([]int8, count*w.K)
			QuantizeRows(q, w.scales[j:], src, count, w.K)
			w.fillPanelInt8(panel, count, q)
		}
	})
}

// FillInt8 sets rows of an Int8 weight as they are stored in a file: value
// times the row's scale is the weight. See Fill for which rows.
func (w *Packed) FillInt8(p *Pool, first int, rows []int8, scales []float32) {
	if w.dtype != Int8 {
		panic("kernels: FillInt8 of a weight of type " + w.dtype.String())
	}
	need("FillInt8 scales", len(scales), len(rows)/max(1, w.K))
	w.fill(p, first, len(rows), func(panel, j, count int) {
		copy(w.scales[j:j+count], scales[j-first:])
		w.fillPanelInt8(panel, count, rows[(j-first)*w.K:])
	})
}

// FillBFloat16 sets rows of a BFloat16 weight as they are stored in a file.
func (w *Packed) FillBFloat16(p *Pool, first int, rows []uint16) {
	if w.dtype != BFloat16 {
		panic("kernels: FillBFloat16 of a weight of type " + w.dtype.String())
	}
	w.fill(p, first, len(rows), func(panel, j, count int) {
		w.fillPanelBFloat16(panel, count, rows[(j-first)*w.K:])
	})
}

// fill calls f for every panel of some rows, with the panel's first row and
// how many it has.
func (w *Packed) fill(p *Pool, first, values int, f func(panel, j, count int)) {
	rows := values / max(1, w.K)
	if first%PackRows != 0 || values != rows*w.K || first+rows > w.N || rows%w.width != 0 && first+rows != w.N {
		panic(fmt.Sprintf("kernels: rows %d to %d of a weight of %d, filled with %d values", first, first+rows, w.N, values))
	}
	p.Run((rows+w.width-1)/w.width, func(t, _ int) {
		j := first + t*w.width
		f(j/w.width, j, min(w.width, first+rows-j))
	})
}

// fillPanelInt8 lays out count rows of K values.
func (w *Packed) fillPanelInt8(panel, count int, rows []int8) {
	dst := w.panel(panel)
	for i := range dst {
		dst[i] = int8Zeros
	}
	bytes := unsafe.Slice((*uint8)(unsafe.Pointer(unsafe.SliceData(rows))), len(rows))
	for i := range count {
		row, at := bytes[i*w.K:(i+1)*w.K], i
		for ; len(row) >= 4; row = row[4:] {
			dst[at] = binary.LittleEndian.Uint32(row) ^ int8Zeros
			at += w.width
		}
		for k, q := range row {
			dst[at] ^= uint32(q) << (8 * k)
		}
	}
}

// fillPanelBFloat16 lays out count rows of K values.
func (w *Packed) fillPanelBFloat16(panel, count int, rows []uint16) {
	dst := w.panel(panel)
	clear(dst)
	for i := range count {
		row, at := rows[i*w.K:(i+1)*w.K], i
		for ; len(row) >= 2; row = row[2:] {
			dst[at] = uint32(flushBFloat16(row[0])) | uint32(flushBFloat16(row[1]))<<16
			at += w.width
		}
		if len(row) == 1 {
			dst[at] = uint32(flushBFloat16(row[0]))
		}
	}
}

// steps is how many words of one output a panel has, with what pads it: at
// least a few, lest an empty sum be a special case everywhere.
func (w *Packed) steps() int {
	padded := roundUp(max(1, w.K), 8)
	if w.dtype == BFloat16 {
		return padded / 2
	}
	return padded / 4
}

// panel is a panel of a narrow type.
func (w *Packed) panel(i int) []uint32 {
	size := w.steps() * w.width
	return w.narrow[i*size : (i+1)*size]
}

// Row writes row j of the weight, K elements, to dst.
func (w *Packed) Row(j int, dst []float32) {
	need("Packed.Row dst", len(dst), w.K)
	dst, lane := dst[:w.K], j%w.width
	switch w.dtype {
	case Float32:
		panel := w.floats[j/w.width*w.K*w.width+lane:]
		for k := range dst {
			dst[k] = panel[k*w.width]
		}
	case BFloat16:
		panel := w.panel(j / w.width)[lane:]
		for k := range dst {
			dst[k] = float16.BFloatFromBits(uint16(panel[k/2*w.width] >> (k % 2 * 16)))
		}
	case Int8:
		panel, scale := w.panel(j / w.width)[lane:], w.scales[j]
		for k := range dst {
			dst[k] = float32(int8((panel[k/4*w.width]^int8Zeros)>>(k%4*8))) * scale
		}
	}
}

// LinearPacked computes y[m,N] = x[m,K]·wᵀ + bias; bias may be nil. With a
// Float32 weight the bits are those of Linear; with any type a row's bits do
// not depend on the other rows or on the threads.
func LinearPacked(p *Pool, y, x []float32, w *Packed, bias []float32, m int) {
	need("LinearPacked y", len(y), m*w.N)
	need("LinearPacked x", len(x), m*w.K)
	if bias != nil {
		need("LinearPacked bias", len(bias), w.N)
	}
	if p != nil {
		p.lookAhead(w, m)
	}
	if w.dtype == Float32 {
		multiply(p, product{m: m, n: w.N, k: w.K, c: y, crs: w.N, a: x, ars: w.K, acs: 1, b: w.floats, panelStep: w.K * w.width, bias: bias})
		return
	}
	multiplyNarrow(p, narrow{w: w, m: m, y: y, x: x, bias: bias})
}
