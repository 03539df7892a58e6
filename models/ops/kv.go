package ops

import "causerie/models/kernels"

// BlockTokens is how many tokens a KVBlock has room for: a multiple of every
// kernels.PanelWidth, small enough that a short sequence wastes little and
// large enough that attention is not all calls.
const BlockTokens = 128

// Span is one sequence's share of a batch: Rows consecutive rows from First.
type Span struct {
	First, Rows int
	Past        int        // tokens of the sequence that came before; they are in Blocks
	Blocks      []*KVBlock // room for Past+Rows tokens; nil for a sequence that is whole in this batch
}

// KVShape is what keys and values look like in a model.
type KVShape struct {
	Layers, Heads int
	Size          int // of a head
}

// KVBlock is the memory of the keys and values of BlockTokens consecutive
// tokens of one sequence, in every layer. It is plain memory: no graph is kept
// alive by it.
//
// Keys and values of a head are kept in the panels the kernels read (see
// kernels.GemmPanels), W = kernels.PanelWidth() floats wide:
//
//	keys    [BlockTokens/W][head size][W]: W keys side by side
//	values  [head size/W][BlockTokens][W]: W components side by side
//
// Rows beyond what was written hold zeros or an earlier sequence; no result
// depends on them.
type KVBlock struct {
	shape KVShape
	data  []float32 // [layer][head][keys, then values]
}

// NewBlock makes room for BlockTokens tokens.
func (s KVShape) NewBlock() *KVBlock {
	return &KVBlock{shape: s, data: kernels.MakeHuge(s.Layers * s.Heads * s.headFloats())}
}

// BlockBytes is the memory of a block.
func (s KVShape) BlockBytes() int64 {
	return 4 * int64(s.Layers) * int64(s.Heads) * int64(s.headFloats())
}

// headFloats is what one head of one layer takes in a block.
func (s KVShape) headFloats() int { return BlockTokens * (s.Size + padded(s.Size)) }

// Shape is the model's shape that the block was made for.
func (b *KVBlock) Shape() KVShape { return b.shape }

// head returns the panels of one head in one layer.
func (b *KVBlock) head(layer, head int) headPanels {
	n, keys := b.shape.headFloats(), BlockTokens*b.shape.Size
	at := b.data[(layer*b.shape.Heads+head)*n:][:n]
	return headPanels{size: b.shape.Size, capacity: BlockTokens, keys: at[:keys], values: at[keys:]}
}

// CopyRows makes b hold the first n tokens of src, a block of the same shape.
func (b *KVBlock) CopyRows(src *KVBlock, n int) {
	for layer := range b.shape.Layers {
		for head := range b.shape.Heads {
			b.head(layer, head).copyRows(src.head(layer, head), n)
		}
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

// copyRows copies the first n tokens: their panels of keys whole, as a panel
// mixes tokens, and of each panel of values the rows.
func (h headPanels) copyRows(src headPanels, n int) {
	copy(h.keys[:padded(n)*h.size], src.keys)
	w := kernels.PanelWidth()
	for at := 0; at < len(h.values); at += h.capacity * w {
		copy(h.values[at:at+n*w], src.values[at:])
	}
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

// padded rounds a head size or a number of tokens up to whole panels.
func padded(size int) int {
	w := kernels.PanelWidth()
	return (size + w - 1) / w * w
}
