package ops

import "causerie/models/kernels"

// Span is one sequence's share of a batch: Rows consecutive rows from First.
type Span struct {
	First, Rows int
	Past        int // tokens of the sequence that came before; they are in Cache
	Cache       *KV // nil for a sequence that is whole in this batch
}

// KV is the memory of one sequence's keys and values, in every layer. It is
// plain memory: no graph is kept alive by it.
//
// Keys and values are kept in the panels the kernels read (see
// kernels.GemmPanels), W = kernels.PanelWidth() floats wide:
//
//	keys of a head    [capacity/W][head size][W]: W keys side by side
//	values of a head  [head size/W][capacity][W]: W components side by side
//
// Rows beyond what was written hold zeros or an earlier sequence; no result
// depends on them.
type KV struct {
	heads, size, capacity int
	keys, values          [][]float32 // by layer
}

// NewKV makes room for capacity tokens of a model with the given number of
// layers and heads of the given size.
func NewKV(layers, heads, size, capacity int) *KV {
	w := kernels.PanelWidth()
	capacity = (capacity + w - 1) / w * w
	kv := &KV{
		heads: heads, size: size, capacity: capacity,
		keys: make([][]float32, layers), values: make([][]float32, layers),
	}
	for l := range layers {
		kv.keys[l] = make([]float32, heads*capacity*size)
		kv.values[l] = make([]float32, heads*capacity*padded(size))
	}
	return kv
}

// Bytes is the memory the cache takes when it is full.
func (kv *KV) Bytes() int64 {
	perToken := kv.heads * (kv.size + padded(kv.size))
	return 4 * int64(len(kv.keys)) * int64(kv.capacity) * int64(perToken)
}

// head returns the panels of one head in one layer.
func (kv *KV) head(layer, head int) headPanels {
	nk, nv := kv.capacity*kv.size, kv.capacity*padded(kv.size)
	return headPanels{
		size: kv.size, capacity: kv.capacity,
		keys:   kv.keys[layer][head*nk : (head+1)*nk],
		values: kv.values[layer][head*nv : (head+1)*nv],
	}
}

// headPanels is the keys and values of one head, in panels.
type headPanels struct {
	size, capacity int // capacity is a multiple of the panel width
	keys, values   []float32
}

// put writes n keys and values of tokens past, past+1, … Row i of the keys is
// at k[i*stride:], of the values at v[i*stride:].
func (h headPanels) put(past, n int, k, v []float32, stride int) {
	packColumns(h.keys, k, stride, past, n, h.size)
	packRows(h.values, v, stride, past, n, h.size, h.capacity)
}

// packColumns writes rows [n, size] as columns past… of the panels
// [capacity/W][size][W]: the transposed matrix as the right-hand side of a
// product over size.
func packColumns(panels, rows []float32, stride, past, n, size int) {
	w := kernels.PanelWidth()
	for i := 0; i < n; {
		at := past + i
		lane := at % w
		count := min(w-lane, n-i)
		panel := panels[(at/w)*size*w : (at/w+1)*size*w]
		kernels.Transpose(panel[lane:], w, rows[i*stride:], stride, count, size)
		i += count
	}
}

// packRows writes rows [n, size] as rows past… of the panels
// [size/W][capacity][W]: the matrix itself as the right-hand side of a product
// over tokens.
func packRows(panels, rows []float32, stride, past, n, size, capacity int) {
	w := kernels.PanelWidth()
	for c := 0; c < size; c += w {
		width := min(w, size-c)
		panel := panels[c*capacity:]
		for i := range n {
			dst := panel[(past+i)*w : (past+i+1)*w]
			copy(dst[:width], rows[i*stride+c:])
			clear(dst[width:])
		}
	}
}

// padded rounds a head size up to whole panels.
func padded(size int) int {
	w := kernels.PanelWidth()
	return (size + w - 1) / w * w
}

// Fits reports whether the memory was made for a model of this shape.
func (kv *KV) Fits(layers, heads, size int) bool {
	return len(kv.keys) == layers && kv.heads == heads && kv.size == size
}
