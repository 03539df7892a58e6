package gpt2

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/ops"
)

// forward builds the graph from token ids to the last layer norm.
func (m *Model) forward(ws *ops.Workspace, b *batch) mat.Tensor {
	return m.Final.forward(ws, m.stack(ws, b), m.Config.Eps)
}

// stack builds the graph from token ids to what the last layer norm reads.
func (m *Model) stack(ws *ops.Workspace, b *batch) mat.Tensor {
	x := ops.Embed(ws, m.Tokens, m.Positions, b.ids, b.spans)
	for layer, block := range m.Blocks {
		forward := func(x mat.Tensor) mat.Tensor {
			return block.forward(ws, x, b, layer, m.Config, m.halfKV())
		}
		if b.recompute {
			x = ops.Recompute(ws, x, block.operands(b, layer), forward)
		} else {
			x = forward(x)
		}
	}
	return x
}

// operands are all parameters that a block reads, adapters' included.
func (b *Block) operands(in *batch, layer int) (all []mat.Tensor) {
	for i, a := range []*Affine{b.QKV, b.AttentionOut, b.FeedIn, b.FeedOut} {
		all = append(all, a.Weight, a.Bias)
		for _, g := range in.groups(layersPerBlock*layer + i) {
			all = append(all, g.Change.A, g.Change.B)
		}
	}
	for _, n := range []*Norm{b.AttentionNorm, b.FeedNorm} {
		all = append(all, n.Gamma, n.Beta)
	}
	return all
}

// forward is x + attention(norm(x)), and of that y + feed-forward(norm(y)).
func (b *Block) forward(ws *ops.Workspace, x mat.Tensor, in *batch, layer int, cfg Config, half bool) mat.Tensor {
	first := layersPerBlock * layer // among Config.AdaptableLayers
	qkv := b.QKV.forward(ws, b.AttentionNorm.forward(ws, x, cfg.Eps), in.groups(first))
	attended := ops.Attention(ws, qkv, in.spans, cfg.Heads, layer, half)
	x = ops.Add(ws, x, b.AttentionOut.forward(ws, attended, in.groups(first+1)))
	inner := ops.GELU(ws, b.FeedIn.forward(ws, b.FeedNorm.forward(ws, x, cfg.Eps), in.groups(first+2)))
	return ops.Add(ws, x, b.FeedOut.forward(ws, inner, in.groups(first+3)))
}

func (n *Norm) forward(ws *ops.Workspace, x mat.Tensor, eps float32) mat.Tensor {
	return ops.LayerNorm(ws, x, n.Gamma, n.Beta, eps)
}

func (a *Affine) forward(ws *ops.Workspace, x mat.Tensor, adapted []ops.Adapted) mat.Tensor {
	if len(adapted) > 0 {
		return ops.AdaptedLinear(ws, x, a.Weight, a.Bias, adapted)
	}
	return ops.Linear(ws, x, a.Weight, a.Bias)
}

// head is the weight of the LM head.
func (m *Model) head() mat.Tensor {
	if m.Head != nil {
		return m.Head
	}
	return m.Tokens
}
