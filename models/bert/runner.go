package bert

import (
	"fmt"
	"slices"

	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
	"causerie/models/ops"
)

// Segment is one text of a batch, [CLS] and [SEP] included.
type Segment struct {
	Tokens []int32
	Types  []int32 // one for each token; nil: all of type 0
}

// Runner computes with a model: it holds the memory of one graph and the
// threads that fill it. A Runner belongs to one goroutine at a time.
type Runner struct {
	model *Model
	ws    *ops.Workspace

	ids, types []int32
	spans      []ops.Span
}

// NewRunner returns a runner on the given threads; nil means the caller's
// goroutine.
func NewRunner(m *Model, pool *kernels.Pool) *Runner {
	return &Runner{model: m, ws: ops.NewWorkspace(pool)}
}

// Model returns the model this runner computes with.
func (r *Runner) Model() *Model { return r.model }

// Hidden runs the texts through the model and writes the last layer's states of
// the given rows to dst, [len(rows), width]. Rows count through all segments;
// nil means all of them. The fewer are asked for, the less the last layer costs.
//
// A row's state has the same bits whatever else is in the batch.
func (r *Runner) Hidden(segments []Segment, rows []int, dst []float32) error {
	defer r.ws.Reset()
	if err := r.layout(segments); err != nil {
		return err
	}
	n := len(r.ids)
	if rows != nil {
		n = len(rows)
	}
	if i := slices.IndexFunc(rows, func(row int) bool { return row < 0 || row >= len(r.ids) }); i >= 0 {
		return fmt.Errorf("bert: row %d is not in [0, %d)", rows[i], len(r.ids))
	}
	if want := n * r.model.Config.Width; len(dst) != want {
		return fmt.Errorf("bert: room for %d values, %d rows have %d", len(dst), n, want)
	}
	copy(dst, ops.ValuesOf(r.model.forward(r.ws, r.ids, r.types, r.spans, rows)))
	return nil
}

// layout checks the segments and puts them one after the other. The operators
// cannot report errors, so everything that could go wrong is found here.
func (r *Runner) layout(segments []Segment) error {
	cfg := r.model.Config
	r.ids, r.types, r.spans = r.ids[:0], r.types[:0], r.spans[:0]
	if len(segments) == 0 {
		return fmt.Errorf("bert: no segments")
	}
	for i, s := range segments {
		if err := s.check(cfg); err != nil {
			return fmt.Errorf("bert: segment %d: %w", i, err)
		}
		r.spans = append(r.spans, ops.Span{First: len(r.ids), Rows: len(s.Tokens)})
		r.ids = append(r.ids, s.Tokens...)
		if s.Types != nil {
			r.types = append(r.types, s.Types...)
			continue
		}
		for range s.Tokens {
			r.types = append(r.types, 0)
		}
	}
	return nil
}

func (s Segment) check(cfg Config) error {
	switch {
	case len(s.Tokens) == 0:
		return fmt.Errorf("it holds no tokens")
	case len(s.Tokens) > cfg.Positions:
		return fmt.Errorf("%d tokens are more than the context of %d", len(s.Tokens), cfg.Positions)
	case s.Types != nil && len(s.Types) != len(s.Tokens):
		return fmt.Errorf("%d types for %d tokens", len(s.Types), len(s.Tokens))
	}
	for at, id := range s.Tokens {
		if id < 0 || int(id) >= cfg.VocabSize {
			return fmt.Errorf("token %d at position %d is not in [0, %d)", id, at, cfg.VocabSize)
		}
	}
	for at, id := range s.Types {
		if id < 0 || int(id) >= cfg.Types {
			return fmt.Errorf("type %d at position %d is not in [0, %d)", id, at, cfg.Types)
		}
	}
	return nil
}

// forward builds the graph from token ids to the last layer norm.
func (m *Model) forward(ws *ops.Workspace, ids, types []int32, spans []ops.Span, rows []int) mat.Tensor {
	x := ops.EmbedTyped(ws, m.Tokens, m.Types, m.Positions, ids, types, spans)
	x = ops.LayerNorm(ws, x, m.Norm.Gamma, m.Norm.Beta, m.Config.Eps)
	for i, b := range m.Blocks {
		var wanted []int // what leaves the last block
		if i == len(m.Blocks)-1 {
			wanted = rows
		}
		x = b.forward(ws, x, spans, wanted, m.Config)
	}
	return x
}

// forward is y = norm(x + attention(x)), and of that norm(y + feed-forward(y)).
func (b *Block) forward(ws *ops.Workspace, x mat.Tensor, spans []ops.Span, rows []int, cfg Config) mat.Tensor {
	attended := ops.BidirectionalAttention(ws, b.QKV.forward(ws, x), spans, cfg.Heads)
	if rows != nil {
		x, attended = ops.Gather(ws, x, rows), ops.Gather(ws, attended, rows)
	}
	x = b.AttentionNorm.after(ws, x, b.AttentionOut.forward(ws, attended), cfg.Eps)
	gelu := ops.GELUErf
	if cfg.TanhGELU {
		gelu = ops.GELU
	}
	inner := gelu(ws, b.FeedIn.forward(ws, x))
	return b.FeedNorm.after(ws, x, b.FeedOut.forward(ws, inner), cfg.Eps)
}

// after is the norm of a residual connection.
func (n *Norm) after(ws *ops.Workspace, x, f mat.Tensor, eps float32) mat.Tensor {
	return ops.AddNorm(ws, x, f, n.Gamma, n.Beta, eps)
}

func (a *Affine) forward(ws *ops.Workspace, x mat.Tensor) mat.Tensor {
	return ops.Linear(ws, x, a.Weight, a.Bias)
}
