package ops

import (
	"fmt"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"
)

// Recompute returns f(x) and keeps nothing of what f computes on the way but its
// result: Backward runs f again, from the x that was kept. A step takes another
// forward pass of f's operators and less memory (Chen et al. 2016, section 4).
// Both runs take the same steps on the same values, so the results and the
// gradients have the bits of f's own.
//
//	x        [rows, width]
//	weights  the parameters that f's operators read
//	f        builds a graph of this package's operators over the workspace
func Recompute(ws *Workspace, x mat.Tensor, weights []mat.Tensor, f func(x mat.Tensor) mat.Tensor) mat.Tensor {
	return run(&recompute{ws: ws, x: x, weights: weights, f: f})
}

type recompute struct {
	ws      *Workspace
	x       mat.Tensor
	weights []mat.Tensor
	f       func(x mat.Tensor) mat.Tensor
}

// Operands lists the weights, too, so that the operator takes part in Backward
// when nothing below x is trained.
func (o *recompute) Operands() []mat.Tensor { return append([]mat.Tensor{o.x}, o.weights...) }

func (o *recompute) Forward() (mat.Tensor, error) {
	from := o.ws.mark()
	y := asTensor(o.f(asTensor(o.x).view()))
	o.ws.releaseFrom(from, y)
	return y, nil
}

func (o *recompute) Backward(gy mat.Tensor) error {
	from := o.ws.mark()
	x := asTensor(o.x).view()
	x.SetRequiresGrad(o.x.RequiresGrad())
	y := o.f(x)
	y.AccGrad(gy)
	if err := ag.Backward(y); err != nil {
		return fmt.Errorf("recomputing: %w", err)
	}
	o.ws.releaseFrom(from, x.grad)
	if x.grad != nil {
		o.x.AccGrad(x.grad)
	}
	return nil
}

// mark is a point in the order in which New gave out tensors.
func (ws *Workspace) mark() int { return len(ws.tensors) }

// releaseFrom gives back the memory of what New gave out since a mark, but for
// one tensor.
func (ws *Workspace) releaseFrom(mark int, keep *Tensor) {
	for _, t := range ws.tensors[mark:] {
		if t != keep {
			t.release()
		}
	}
}
