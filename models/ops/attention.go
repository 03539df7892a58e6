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
//	spans  the sequences; those with a cache have their keys and values
//	       appended to it at position Past, for the given layer
//	heads  width is heads times the size of a head
//
// A sequence with a past cannot be trained: Backward knows only the rows of
// the batch.
func Attention(ws *Workspace, qkv mat.Tensor, spans []Span, heads, layer int) mat.Tensor {
	return run(&attention{ws: ws, qkv: qkv, spans: spans, heads: heads, layer: layer})
}

type attention struct {
	ws           *Workspace
	qkv          mat.Tensor
	spans        []Span
	heads, layer int

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
}

func (o *attention) Operands() []mat.Tensor { return []mat.Tensor{o.qkv} }

func (o *attention) Forward() (mat.Tensor, error) {
	qkv := asTensor(o.qkv)
	o.width = qkv.cols / 3
	o.size = o.width / o.heads
	o.scale = float32(1 / math.Sqrt(float64(o.size)))
	o.y = o.ws.New(qkv.rows, o.width)
	o.logSums = o.ws.New(qkv.rows, o.heads)
	o.each(func(s Span, head int, scratch *attentionScratch) {
		o.forwardHead(qkv, s, head, scratch)
	})
	return o.y, nil
}

// each calls f for every head of every span, on the workspace's threads when
// there is enough to do.
func (o *attention) each(f func(s Span, head int, scratch *attentionScratch)) {
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
	pool.Run(len(o.spans)*o.heads, func(task, worker int) {
		f(o.spans[task/o.heads], task%o.heads, &o.ws.scratch[worker])
	})
}

func (o *attention) forwardHead(qkv *Tensor, s Span, head int, scratch *attentionScratch) {
	stride := qkv.cols
	at := qkv.data[s.First*stride+head*o.size:]
	q, k, v := at, at[o.width:], at[2*o.width:]
	panels := o.panels(s, head, scratch)
	panels.put(s.Past, s.Rows, k, v, stride)

	for i := 0; i < s.Rows; i += queryBlock {
		n := min(queryBlock, s.Rows-i)
		tokens := s.Past + i + n
		room := padded(tokens)
		scores := grow(&scratch.scores, n*room)
		kernels.GemmPanels(&scratch.gemm, scores, room, q[i*stride:], stride, 1,
			panels.keys, o.size*kernels.PanelWidth(), n, tokens, o.size, false)
		for r := range n {
			row, seen := scores[r*room:(r+1)*room], s.Past+i+r+1
			largest, sum := kernels.SoftmaxRow(row[:seen], row[:seen], o.scale)
			o.logSums.data[(s.First+i+r)*o.heads+head] = kernels.LogSumExp(largest, sum, o.scale)
			clear(row[seen:])
		}
		y := o.y.data[(s.First+i)*o.width+head*o.size:]
		kernels.GemmPanels(&scratch.gemm, y, o.width, scores, room, 1,
			panels.values, panels.capacity*kernels.PanelWidth(), n, o.size, tokens, false)
	}
}

// panels returns where a head's keys and values go: the cache, or memory of
// the worker.
func (o *attention) panels(s Span, head int, scratch *attentionScratch) headPanels {
	if s.Cache != nil {
		return s.Cache.head(o.layer, head)
	}
	room := padded(s.Rows)
	return headPanels{
		size: o.size, capacity: room,
		keys:   grow(&scratch.keys, room*o.size),
		values: grow(&scratch.values, room*padded(o.size)),
	}
}

// grow returns n floats of *buf, whose content is arbitrary, making it larger
// when needed.
func grow(buf *[]float32, n int) []float32 {
	if cap(*buf) < n {
		*buf = make([]float32, capacity(n))
	}
	return (*buf)[:n]
}
