package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// Embed returns, for each row, the embedding of its token plus that of its
// position in its sequence.
//
//	tokens     [vocab, width]
//	positions  [context, width]
//	ids        one for each row, in [0, vocab)
//	spans      the sequences of the batch; a span's positions start at its past
func Embed(ws *Workspace, tokens, positions mat.Tensor, ids []int32, spans []Span) mat.Tensor {
	return run(&embed{ws: ws, tokens: tokens, positions: positions, ids: ids, spans: spans})
}

// EmbedTyped is Embed that also adds the embedding of each token's type: which
// of two sentences it belongs to (Devlin et al. 2019, section 3).
//
//	types    [kinds of tokens, width]
//	typeIDs  one for each row, in [0, kinds of tokens)
func EmbedTyped(ws *Workspace, tokens, types, positions mat.Tensor, ids, typeIDs []int32, spans []Span) mat.Tensor {
	return run(&embed{ws: ws, tokens: tokens, positions: positions, types: types, ids: ids, typeIDs: typeIDs, spans: spans})
}

type embed struct {
	ws                *Workspace
	tokens, positions mat.Tensor
	types             mat.Tensor // nil: tokens have none
	ids, typeIDs      []int32
	spans             []Span
}

func (o *embed) Operands() []mat.Tensor {
	if o.types != nil {
		return []mat.Tensor{o.tokens, o.types, o.positions}
	}
	return []mat.Tensor{o.tokens, o.positions}
}

func (o *embed) Forward() (mat.Tensor, error) {
	tokens, positions := asTensor(o.tokens), asTensor(o.positions)
	w := tokens.cols
	y := o.ws.New(len(o.ids), w)
	for _, s := range o.spans {
		for i := range s.Rows {
			row := y.data[(s.First+i)*w : (s.First+i+1)*w]
			tokens.Row(int(o.ids[s.First+i]), row)
			if o.types != nil {
				kernels.Add(nil, row, row, o.typeRow(asTensor(o.types).data, s.First+i, w))
			}
			at := (s.Past + i) * w
			kernels.Add(nil, row, row, positions.data[at:at+w])
		}
	}
	return y, nil
}

func (o *embed) Backward(gy mat.Tensor) error {
	tokens, positions, g := asTensor(o.tokens), asTensor(o.positions), asTensor(gy)
	w := g.cols
	for _, s := range o.spans {
		for i := range s.Rows {
			row := g.data[(s.First+i)*w : (s.First+i+1)*w]
			if tokens.grad != nil {
				at := int(o.ids[s.First+i]) * w
				kernels.Axpy(1, row, tokens.grad.data[at:at+w])
			}
			if o.types != nil && asTensor(o.types).grad != nil {
				kernels.Axpy(1, row, o.typeRow(asTensor(o.types).grad.data, s.First+i, w))
			}
			if positions.grad != nil {
				at := (s.Past + i) * w
				kernels.Axpy(1, row, positions.grad.data[at:at+w])
			}
		}
	}
	g.release()
	return nil
}

// typeRow is the row of a [types, width] matrix that belongs to a row of the batch.
func (o *embed) typeRow(of []float32, row, width int) []float32 {
	at := int(o.typeIDs[row]) * width
	return of[at : at+width]
}
