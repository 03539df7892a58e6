package ops

import (
	"math"

	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// queryBlock is how many query rows are scored at once. Within a block every
// row is scored against the keys of the block's last row, so a larger block
// wastes more on the causal mask and a smaller one reads the keys more often.
const queryBlock = 64

// Attention returns causal multi-head attention over ragged sequences:
// softmax(Q·Kᵀ/√size)·V for each head, Vaswani et al. (2017), equation 1,
// where row i of a span sees the span's past and its rows up to i.
//
//	qkv    [rows, 3*width]: queries, keys and values side by side
//	spans  the sequences; those with blocks have their keys and values
//	       written there from position Past on, for the given layer
//	heads  width is heads times the size of a head
//	half   keys and values are rounded to 16 bits, as blocks that hold them so
//	       do; in every span, so that a result does not depend on what is cached
//
// A sequence with a past cannot be trained: Backward knows only the rows of
// the batch.
func Attention(ws *Workspace, qkv mat.Tensor, spans []Span, heads, layer int, half bool) mat.Tensor {
	return run(&attention{ws: ws, qkv: qkv, spans: spans, heads: heads, layer: layer, half: half})
}

// BidirectionalAttention is attention in which every row of a span sees all
// rows of it, as in BERT (Devlin et al. 2019, section 3). The spans are whole:
// without past or blocks.
func BidirectionalAttention(ws *Workspace, qkv mat.Tensor, spans []Span, heads int) mat.Tensor {
	return run(&attention{ws: ws, qkv: qkv, spans: spans, heads: heads, bidirectional: true})
}

type attention struct {
	ws            *Workspace
	qkv           mat.Tensor
	spans         []Span
	heads, layer  int
	half          bool
	bidirectional bool

	width, size int
	scale       float32
	y           *Tensor // [rows, width]
	logSums     *Tensor // [rows, heads]: log Σ exp(scale·score) of each row, for Backward
}

// attentionScratch is what one worker needs to compute one head of one span.
type attentionScratch struct {
	gemm                  kernels.Scratch
	keys, values          []float32 // panels of a span without cache
	keyRows, valueColumns []float32 // the other orientation, for gradients
	scores, gradients     []float32 // [queryBlock, tokens]

	halfKeys, halfValues []uint16 // rows rounded to 16 bits
}

func (o *attention) Operands() []mat.Tensor { return []mat.Tensor{o.qkv} }

func (o *attention) Forward() (mat.Tensor, error) {
	qkv := asTensor(o.qkv)
	o.width = qkv.cols / 3
	o.size = o.width / o.heads
	o.scale = float32(1 / math.Sqrt(float64(o.size)))
	o.y = o.ws.New(qkv.rows, o.width)
	o.logSums = o.ws.New(qkv.rows, o.heads)
	o.each(func(s Span, head int, more bool, scratch *attentionScratch) {
		o.forwardHead(qkv, s, head, more, scratch)
	})
	return o.y, nil
}

// each calls f for every head of every span, on the workspace's threads when
// there is enough to do; more says that the next head follows on the same one.
func (o *attention) each(f func(s Span, head int, more bool, scratch *attentionScratch)) {
	if missing := o.ws.pool.Threads() - len(o.ws.scratch); missing > 0 {
		o.ws.scratch = append(o.ws.scratch, make([]attentionScratch, missing)...)
	}
	pool, work := o.ws.pool, 0
	for _, s := range o.spans {
		work += s.Rows * (s.Past + s.Rows) * o.width
	}
	const worthWaking = 1 << 14 // multiply-adds: few, but keys and values come from memory
	if work < worthWaking {
		pool = nil
	}
	// Heads lie side by side in memory, which is fastest read in long stretches:
	// a task takes as many as leave every thread something to do.
	heads := max(1, min(o.heads, len(o.spans)*o.heads/(2*pool.Threads())))
	perSpan := (o.heads + heads - 1) / heads
	pool.Run(len(o.spans)*perSpan, func(task, worker int) {
		first := task % perSpan * heads
		last := min(o.heads, first+heads) - 1
		for head := first; head <= last; head++ {
			f(o.spans[task/perSpan], head, head < last, &o.ws.scratch[worker])
		}
	})
}

// seen is how many tokens row i of a span sees.
func (o *attention) seen(s Span, i int) int {
	if o.bidirectional {
		return s.Rows
	}
	return s.Past + i + 1
}

func (o *attention) forwardHead(qkv *Tensor, s Span, head int, more bool, scratch *attentionScratch) {
	stride := qkv.cols
	at := qkv.data[s.First*stride+head*o.size:]
	q, k, v := at, at[o.width:], at[2*o.width:]
	blocks := o.blocks(s, head, scratch)
	blocks.ahead = 2 << 10 // a panel or so
	if more && s.Blocks != nil {
		blocks.ahead = s.Blocks[0].shape.headValues()
	}
	blocks.put(s.Past, s.Rows, k, v, stride)

	for i := 0; i < s.Rows; i += queryBlock {
		n := min(queryBlock, s.Rows-i)
		tokens := o.seen(s, i+n-1)
		room := padded(tokens)
		scores := grow(&scratch.scores, n*room)
		blocks.score(&scratch.gemm, scores, room, q[i*stride:], stride, n, tokens)
		for r := range n {
			row, seen := scores[r*room:(r+1)*room], o.seen(s, i+r)
			largest, sum := kernels.SoftmaxRow(row[:seen], row[:seen], o.scale)
			o.logSums.data[(s.First+i+r)*o.heads+head] = kernels.LogSumExp(largest, sum, o.scale)
			clear(row[seen:])
		}
		y := o.y.data[(s.First+i)*o.width+head*o.size:]
		blocks.weigh(&scratch.gemm, y, o.width, scores, room, n, tokens)
	}
}

// headBlocks are the keys and values of one head of a sequence: the blocks of
// a cache, or one block with room for all tokens.
type headBlocks struct {
	cached      []*KVBlock
	layer, head int
	whole       headPanels // when nothing is cached
	half        bool
	ahead       int // how far on what is read next lies: the next head's, if the same worker comes to it
	scratch     *attentionScratch
}

// blocks returns where a head's keys and values go: the cache, or memory of
// the worker.
func (o *attention) blocks(s Span, head int, scratch *attentionScratch) headBlocks {
	if s.Blocks != nil {
		return headBlocks{cached: s.Blocks, layer: o.layer, head: head, half: o.half, scratch: scratch}
	}
	room := padded(s.Rows)
	return headBlocks{half: o.half, scratch: scratch, whole: headPanels{
		size: o.size, capacity: room,
		keys:   grow(&scratch.keys, room*o.size),
		values: grow(&scratch.values, room*padded(o.size)),
	}}
}

// each calls f for every block with some of the tokens [from, to): its panels,
// the number of its first token, and which of its rows are meant.
func (h *headBlocks) each(from, to int, f func(p headPanels, first, lo, hi int)) {
	if h.cached == nil {
		f(h.whole, 0, from, to)
		return
	}
	for i := from / BlockTokens; i*BlockTokens < to; i++ {
		first := i * BlockTokens
		f(h.cached[i].head(h.layer, h.head), first, max(from-first, 0), min(to-first, BlockTokens))
	}
}

// put writes n keys and values of tokens past, past+1, …
func (h *headBlocks) put(past, n int, k, v []float32, stride int) {
	if h.half {
		h.putHalf(past, n, k, v, stride)
		return
	}
	h.each(past, past+n, func(p headPanels, first, lo, hi int) {
		skip := (first + lo - past) * stride
		p.put(lo, hi-lo, k[skip:], v[skip:], stride)
	})
}

// score sets scores[n, tokens], of the given row length, to q·Kᵀ.
func (h *headBlocks) score(s *kernels.Scratch, scores []float32, room int, q []float32, stride, n, tokens int) {
	h.each(0, tokens, func(p headPanels, first, _, hi int) {
		if p.halfKeys != nil && n == 1 {
			// Whole panels: there is room for them, and what is too much is cleared.
			kernels.RowTimesHalfPanels(scores[first:], q, p.halfKeys, p.size*kernels.PanelWidth(), padded(hi), p.size, false, h.ahead)
			return
		}
		p.widenKeys(hi, h.scratch)
		kernels.GemmPanels(s, scores[first:], room, q, stride, 1,
			p.keys, p.size*kernels.PanelWidth(), n, hi, p.size, false)
	})
}

// weigh sets y[n, size], in rows of the given stride, to scores·V. Each
// element is one chain over all tokens: a block takes it up where the one
// before has put it down, so blocks do not show in the result.
func (h *headBlocks) weigh(s *kernels.Scratch, y []float32, stride int, scores []float32, room, n, tokens int) {
	h.each(0, tokens, func(p headPanels, first, _, hi int) {
		if p.halfValues != nil && n == 1 {
			kernels.RowTimesHalfPanels(y, scores[first:], p.halfValues, p.capacity*kernels.PanelWidth(), p.size, hi, first > 0, h.ahead)
			return
		}
		p.widenValues(hi, h.scratch)
		kernels.GemmPanels(s, y, stride, scores[first:], room, 1,
			p.values, p.capacity*kernels.PanelWidth(), n, p.size, hi, first > 0)
	})
}

// grow returns n floats of *buf, whose content is arbitrary, making it larger
// when needed.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, capacity(n))
	}
	return (*buf)[:n]
}
