package ops

import (
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// Tensor is a matrix of the graph: spago's Dense for everything that reads
// values, with a gradient that is adopted rather than cloned, and memory that
// a Workspace may own.
type Tensor struct {
	*mat.Dense[float32]
	data       []float32
	rows, cols int
	grad       *Tensor

	ws  *Workspace // owner of buf; nil for memory that is not pooled
	buf *buffer

	param  bool            // the gradient buffer stays and is added into
	packed *kernels.Packed // a frozen weight, laid out for serving
}

func newTensor(data []float32, rows, cols int) *Tensor {
	return &Tensor{
		Dense: mat.NewDense[float32](mat.WithShape(rows, cols), mat.WithBacking(data)),
		data:  data, rows: rows, cols: cols,
	}
}

// NewParam returns a tensor for a model's parameter over data, which it
// shares. It has no gradient until Trainable is called.
func NewParam(data []float32, rows, cols int) *Tensor {
	t := newTensor(data, rows, cols)
	t.param = true
	return t
}

// Trainable gives a parameter the gradient buffer that operators add into.
func (t *Tensor) Trainable() {
	if t.grad == nil {
		t.grad = newTensor(make([]float32, len(t.data)), t.rows, t.cols)
	}
	t.SetRequiresGrad(true)
}

// NewFrozen returns the tensor of a weight that is laid out for serving already.
func NewFrozen(w *kernels.Packed) *Tensor {
	return &Tensor{Dense: mat.NewDense[float32](mat.WithShape(0, 0)), rows: w.N, cols: w.K, param: true, packed: w}
}

// Freeze lays a weight out for serving and gives its row-major memory up.
// Results stay bit-equal when the type is Float32; a frozen weight cannot be
// trained or saved.
func (t *Tensor) Freeze(pool *kernels.Pool, dtype kernels.DType) {
	if t.packed != nil {
		return
	}
	t.packed = kernels.Pack(pool, t.data, t.rows, t.cols, dtype)
	t.SetRequiresGrad(false)
	t.grad, t.data = nil, nil
	t.Dense = mat.NewDense[float32](mat.WithShape(0, 0))
}

// Precedes says that next is the frozen weight read after t when a model decodes.
func (t *Tensor) Precedes(next *Tensor) { t.packed.Precedes(next.packed) }

// Frozen reports whether Freeze was called.
func (t *Tensor) Frozen() bool { return t.packed != nil }

// Packed returns a frozen weight as it is laid out; nil for others.
func (t *Tensor) Packed() *kernels.Packed { return t.packed }

// Values returns the row-major content, shared; nil for a frozen weight.
func (t *Tensor) Values() []float32 { return t.data }

// Gradient returns the row-major gradient, shared; nil when there is none.
func (t *Tensor) Gradient() []float32 {
	if t.grad == nil {
		return nil
	}
	return t.grad.data
}

// Row copies row i to dst, of the tensor's width.
func (t *Tensor) Row(i int, dst []float32) {
	if t.packed != nil {
		t.packed.Row(i, dst)
		return
	}
	copy(dst, t.data[i*t.cols:(i+1)*t.cols])
}

// Shape returns [rows, columns], of a frozen weight too.
func (t *Tensor) Shape() []int { return []int{t.rows, t.cols} }

// Value returns the tensor itself.
func (t *Tensor) Value() mat.Tensor { return t }

// Grad returns the gradient, or nil.
func (t *Tensor) Grad() mat.Tensor {
	if t.grad == nil {
		return nil
	}
	return t.grad
}

// HasGrad reports whether there is a gradient.
func (t *Tensor) HasGrad() bool { return t.grad != nil }

// AccGrad adds g to the gradient. The first gradient is adopted: the caller
// gives it up. Passing the tensor's own gradient, into which an operator has
// already added, changes nothing.
func (t *Tensor) AccGrad(g mat.Tensor) {
	src := asTensor(g)
	switch {
	case src == t.grad:
	case t.grad == nil:
		t.grad = src
	default:
		kernels.Add(t.grad.pool(), t.grad.data, t.grad.data, src.data)
		src.release()
	}
}

// ZeroGrad clears a parameter's gradient and drops another tensor's.
func (t *Tensor) ZeroGrad() {
	if t.param {
		if t.grad != nil {
			clear(t.grad.data)
		}
		return
	}
	t.grad = nil
}

func (t *Tensor) pool() *kernels.Pool {
	if t.ws == nil {
		return nil
	}
	return t.ws.pool
}

// view returns a tensor over the same memory that does not own it, for a
// gradient that two operands receive.
func (t *Tensor) view() *Tensor {
	return newTensor(t.data, t.rows, t.cols)
}

// release gives pooled memory back before the workspace is reset.
func (t *Tensor) release() {
	if t.buf != nil && t.buf.used {
		t.ws.giveBack(t.buf)
		t.buf = nil
	}
}

// asTensor returns the Tensor behind an operand or a gradient. Gradients made
// by spago itself (the 1 at the root) are wrapped.
func asTensor(t mat.Tensor) *Tensor {
	v := t.Value()
	if own, ok := v.(*Tensor); ok {
		return own
	}
	shape := v.Shape()
	return newTensor(v.Data().F32(), shape[0], shape[1])
}

// ValuesOf returns the row-major content behind an operand, shared: it lasts
// as long as the graph's workspace is not reset.
func ValuesOf(t mat.Tensor) []float32 { return asTensor(t).data }
