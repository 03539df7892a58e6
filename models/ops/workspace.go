package ops

import (
	"math/bits"

	"causerie/models/kernels"
)

// Workspace owns the memory of a graph's activations and gradients and the
// threads that compute them. Memory is kept between steps, because the first
// touch of fresh pages costs far more than the arithmetic done on them.
//
// A Workspace serves one graph at a time. The zero value works on the
// caller's goroutine alone.
type Workspace struct {
	pool    *kernels.Pool
	live    []*buffer
	tensors []*Tensor         // that New gave out
	free    map[int][]*buffer // by capacity

	scratch []attentionScratch // one for each worker of the pool

	bfloat16 bool // products of trainable linear layers round their operands
}

// buffer is a piece of pooled memory.
type buffer struct {
	data   []float32 // full capacity
	used   bool
	tensor *Tensor // made over it in an earlier graph, for another of its shape
}

// NewWorkspace returns a workspace whose operators run on pool; nil means the
// caller's goroutine.
func NewWorkspace(pool *kernels.Pool) *Workspace {
	return &Workspace{pool: pool}
}

// Pool returns the threads this workspace computes with, possibly nil.
func (ws *Workspace) Pool() *kernels.Pool { return ws.pool }

// SetPrecision says what the products of linear layers with weights that are
// not frozen, and of the loss, round their operands to, forward and backward:
// kernels.Float32, which rounds nothing and is the default, or
// kernels.BFloat16. Sums, and everything else, are float32.
func (ws *Workspace) SetPrecision(d kernels.DType) { ws.bfloat16 = d == kernels.BFloat16 }

// New returns a [rows, cols] tensor of pooled memory with arbitrary content.
func (ws *Workspace) New(rows, cols int) *Tensor {
	b := ws.take(rows * cols)
	t := b.tensor
	if t == nil || t.rows != rows || t.cols != cols {
		t = newTensor(b.data[:rows*cols], rows, cols)
	} else {
		t.grad = nil
		t.SetRequiresGrad(false)
	}
	t.buf, t.ws = b, ws
	b.tensor = nil // until nobody uses this one any more
	ws.tensors = append(ws.tensors, t)
	return t
}

// Reset takes back everything New gave out. Tensors of the last graph must
// not be used any more.
func (ws *Workspace) Reset() {
	for _, t := range ws.tensors {
		if t.buf != nil { // not released before
			t.buf.tensor = t
		}
	}
	ws.tensors = ws.tensors[:0]
	for _, b := range ws.live {
		if b.used {
			ws.giveBack(b)
		}
	}
	ws.live = ws.live[:0]
}

func (ws *Workspace) take(n int) *buffer {
	c := capacity(n)
	var b *buffer
	if list := ws.free[c]; len(list) > 0 {
		b = list[len(list)-1]
		ws.free[c] = list[:len(list)-1]
	} else {
		b = &buffer{data: make([]float32, c)}
	}
	b.used = true
	ws.live = append(ws.live, b)
	return b
}

func (ws *Workspace) giveBack(b *buffer) {
	if ws.free == nil {
		ws.free = make(map[int][]*buffer)
	}
	b.used = false
	c := len(b.data)
	ws.free[c] = append(ws.free[c], b)
}

// capacity rounds n up to a power of two or to a quarter step between two, so
// that batches of slightly different sizes share memory.
func capacity(n int) int {
	const least = 64
	if n <= least {
		return least
	}
	step := 1 << (bits.Len(uint(n-1)) - 3)
	return (n + step - 1) / step * step
}
