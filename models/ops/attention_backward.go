package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// Backward recomputes the attention probabilities block by block, as Dao et
// al. (2022), algorithm 4, do: the probabilities themselves are never kept.
func (o *attention) Backward(gy mat.Tensor) error {
	qkv, g := asTensor(o.qkv), asTensor(gy)
	dqkv := o.ws.New(qkv.rows, qkv.cols)
	o.each(func(s Span, head int, _ bool, scratch *attentionScratch) {
		o.backwardHead(dqkv, qkv, g, s, head, scratch)
	})
	g.release()
	o.qkv.AccGrad(dqkv)
	return nil
}

// headGradient is one head of one span while its gradient is computed. Every
// slice starts at the head's first row and column.
type headGradient struct {
	q, dq, dk, dv []float32 // rows of stride 3*width
	dy            []float32 // rows of stride width
	keyColumns    []float32 // keys as the right-hand side of a product over components
	valueColumns  []float32 // values, likewise
	keyRows       []float32 // keys as the right-hand side of a product over tokens
	room          int       // rows of the span, rounded up to whole panels
}

func (o *attention) backwardHead(dqkv, qkv, g *Tensor, s Span, head int, scratch *attentionScratch) {
	stride, from := qkv.cols, s.First*qkv.cols+head*o.size
	at, d := qkv.data[from:], dqkv.data[from:]
	row := s.First*o.width + head*o.size
	room := padded(s.Rows)
	h := headGradient{
		q: at, dq: d, dk: d[o.width:], dv: d[2*o.width:],
		dy:           g.data[row:],
		keyColumns:   grow(&scratch.keys, room*o.size),
		valueColumns: grow(&scratch.valueColumns, room*o.size),
		keyRows:      grow(&scratch.keyRows, room*padded(o.size)),
		room:         room,
	}
	packColumns(h.keyColumns, at[o.width:], stride, 0, s.Rows, o.size)
	packColumns(h.valueColumns, at[2*o.width:], stride, 0, s.Rows, o.size)
	packRows(h.keyRows, at[o.width:], stride, 0, s.Rows, o.size, room)
	for i := range s.Rows {
		clear(h.dk[i*stride : i*stride+o.size])
		clear(h.dv[i*stride : i*stride+o.size])
	}
	for i := 0; i < s.Rows; i += queryBlock {
		o.backwardBlock(h, s, head, i, min(queryBlock, s.Rows-i), scratch)
	}
}

// backwardBlock handles n query rows from row i of the span. With P the
// probabilities, dP = dY·Vᵀ and D the row sums of P∘dP,
//
//	dV += Pᵀ·dY,  dS = P∘(dP - D)·scale,  dQ = dS·K,  dK += dSᵀ·Q.
func (o *attention) backwardBlock(h headGradient, s Span, head, i, n int, scratch *attentionScratch) {
	stride, tokens := 3*o.width, o.seen(s, i+n-1)
	room, panel := padded(tokens), o.size*kernels.PanelWidth()
	p := grow(&scratch.scores, n*room)
	ds := grow(&scratch.gradients, n*room)
	q, dy := h.q[i*stride:], h.dy[i*o.width:]
	gemm := &scratch.gemm

	kernels.GemmPanels(gemm, p, room, q, stride, 1, h.keyColumns, panel, n, tokens, o.size, false)
	kernels.GemmPanels(gemm, ds, room, dy, o.width, 1, h.valueColumns, panel, n, tokens, o.size, false)
	for r := range n {
		seen := o.seen(s, i+r)
		pr, dr := p[r*room:(r+1)*room], ds[r*room:(r+1)*room]
		kernels.ExpShift(pr[:seen], pr[:seen], o.scale, o.logSums.data[(s.First+i+r)*o.heads+head])
		kernels.SoftmaxBackward(dr[:seen], pr[:seen], dr[:seen], o.scale)
		clear(pr[seen:tokens])
		clear(dr[seen:tokens])
	}
	kernels.Gemm(gemm, h.dv, stride, p, 1, room, dy, o.width, 1, tokens, o.size, n, true)
	kernels.Gemm(gemm, h.dk, stride, ds, 1, room, q, stride, 1, tokens, o.size, n, true)
	kernels.GemmPanels(gemm, h.dq[i*stride:], stride, ds, room, 1,
		h.keyRows, h.room*kernels.PanelWidth(), n, o.size, tokens, false)
}
