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
	Size          int  // of a head
	Half          bool // they are kept in 16 bits
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
// or in 16 bits, where decoding reads half as much (see half.go). Rows beyond
// what was written hold zeros or an earlier sequence; no result depends on them.
type KVBlock struct {
	shape  KVShape
	data   []float32 // [layer][head][keys, then values]
	halves []uint16  // instead of data
}

// NewBlock makes room for BlockTokens tokens.
func (s KVShape) NewBlock() *KVBlock {
	n := s.Layers * s.Heads * s.headValues()
	if s.Half {
		return &KVBlock{shape: s, halves: kernels.MakeHuge[uint16](n)}
	}
	return &KVBlock{shape: s, data: kernels.MakeHuge[float32](n)}
}

// BlockBytes is the memory of a block.
func (s KVShape) BlockBytes() int64 {
	each := int64(4)
	if s.Half {
		each = 2
	}
	return each * int64(s.Layers) * int64(s.Heads) * int64(s.headValues())
}

// headValues is what one head of one layer takes in a block.
func (s KVShape) headValues() int { return BlockTokens * (s.Size + padded(s.Size)) }

// Shape is the model's shape that the block was made for.
func (b *KVBlock) Shape() KVShape { return b.shape }

// head returns the panels of one head in one layer.
func (b *KVBlock) head(layer, head int) headPanels {
	n, keys := b.shape.headValues(), BlockTokens*b.shape.Size
	from := (layer*b.shape.Heads + head) * n
	p := headPanels{size: b.shape.Size, capacity: BlockTokens}
	if b.shape.Half {
		at := b.halves[from : from+n]
		p.halfKeys, p.halfValues = at[:keys], at[keys:]
	} else {
		at := b.data[from : from+n]
		p.keys, p.values = at[:keys], at[keys:]
	}
	return p
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

	halfKeys, halfValues []uint16 // instead of those
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
	if h.halfKeys != nil {
		copyRows(h.halfKeys, src.halfKeys, h.halfValues, src.halfValues, h, n)
		return
	}
	copyRows(h.keys, src.keys, h.values, src.values, h, n)
}

func copyRows[T uint16 | float32](keys, fromKeys, values, fromValues []T, h headPanels, n int) {
	copy(keys[:padded(n)*h.size], fromKeys)
	w := kernels.PanelWidth()
	for at := 0; at < len(values); at += h.capacity * w {
		copy(values[at:at+n*w], fromValues[at:])
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
func packRows[T uint16 | float32](panels, rows []T, stride, past, n, size, capacity int) {
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
