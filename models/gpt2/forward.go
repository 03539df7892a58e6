package gpt2

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/ops"
)

// forward builds the graph from token ids to the last layer norm, for the
// given rows, or all of them when rows is nil.
func (m *Model) forward(ws *ops.Workspace, b *batch, rows []int) mat.Tensor {
	x := ops.Embed(ws, m.Tokens, m.Positions, b.ids, b.spans)
	for layer, block := range m.Blocks {
		x = block.forward(ws, x, b.spans, layer, m.Config)
	}
	if rows != nil {
		x = ops.Gather(ws, x, rows)
	}
	return m.Final.forward(ws, x, m.Config.Eps)
}

// forward is x + attention(norm(x)), and of that y + feed-forward(norm(y)).
func (b *Block) forward(ws *ops.Workspace, x mat.Tensor, spans []ops.Span, layer int, cfg Config) mat.Tensor {
	qkv := b.QKV.forward(ws, b.AttentionNorm.forward(ws, x, cfg.Eps))
	x = ops.Add(ws, x, b.AttentionOut.forward(ws, ops.Attention(ws, qkv, spans, cfg.Heads, layer)))
	inner := ops.GELU(ws, b.FeedIn.forward(ws, b.FeedNorm.forward(ws, x, cfg.Eps)))
	return ops.Add(ws, x, b.FeedOut.forward(ws, inner))
}

func (n *Norm) forward(ws *ops.Workspace, x mat.Tensor, eps float32) mat.Tensor {
	return ops.LayerNorm(ws, x, n.Gamma, n.Beta, eps)
}

func (a *Affine) forward(ws *ops.Workspace, x mat.Tensor) mat.Tensor {
	return ops.Linear(ws, x, a.Weight, a.Bias)
}

// head is the weight of the LM head.
func (m *Model) head() mat.Tensor {
	if m.Head != nil {
		return m.Head
	}
	return m.Tokens
}
