package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// adaptedGroups are two changes for three runs of nine rows; rows 0 and 8 see
// none.
func adaptedGroups(in []mat.Tensor, p float32) []Adapted {
	one := &LowRank{A: asTensor(in[3]), B: asTensor(in[4]), Scale: 2}
	two := &LowRank{A: asTensor(in[5]), B: asTensor(in[6]), Scale: 0.5}
	d := Dropout{P: p, Key: 5}
	return []Adapted{
		{First: 1, Rows: 3, Change: one, Dropout: d},
		{First: 4, Rows: 2, Change: two, Dropout: d},
		{First: 6, Rows: 2, Change: one, Dropout: d},
	}
}

var adaptedShapes = [][2]int{{9, 10}, {13, 10}, {13, 1}, {3, 10}, {3, 13}, {2, 10}, {2, 13}}

func adaptedCase(name string, p float32) opCase {
	return opCase{
		name, adaptedShapes,
		func(ws *Workspace, in []mat.Tensor) mat.Tensor {
			return AdaptedLinear(ws, in[0], in[1], in[2], adaptedGroups(in, p))
		},
		func(in []matrix) matrix {
			y := refLinear(in[0], in[1], in[2])
			refChange(y, in[0], in[3], in[4], 2, p, 1, 4)
			refChange(y, in[0], in[5], in[6], 0.5, p, 4, 6)
			refChange(y, in[0], in[3], in[4], 2, p, 6, 8)
			return y
		},
	}
}

// refChange adds scale·(dropout(x)·Aᵀ)·B to rows [first,end) of y.
func refChange(y, x, a, b matrix, scale float64, p float32, first, end int) {
	d := Dropout{P: p, Key: 5}
	for i := first; i < end; i++ {
		for j := range y.cols {
			for r := range a.rows {
				for k := range x.cols {
					if p > 0 && float64(d.bits(i*x.cols+k)) < float64(p)*(1<<32) {
						continue
					}
					y.v[i*y.cols+j] += scale * x.at(i, k) / (1 - float64(p)) * a.at(r, k) * b.at(r, j)
				}
			}
		}
	}
}

// TestAdaptedRowsAreBitEqualToThoseAlone: what a row gives does not depend on
// the changes that other rows see, nor on threads, nor on the weight's layout.
func TestAdaptedRowsAreBitEqualToThoseAlone(t *testing.T) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	shapes := [][2]int{{90, 70}, {200, 70}, {200, 1}, {8, 70}, {8, 200}, {4, 70}, {4, 200}}
	params, _ := inputs(shapes, 3)
	frozen := NewParam(slices.Clone(params[1].data), 200, 70)
	frozen.Freeze(pool, kernels.Float32)
	one := &LowRank{A: params[3], B: params[4], Scale: 2}
	two := &LowRank{A: params[5], B: params[6], Scale: 0.5}
	ws := NewWorkspace(pool)
	groups := []Adapted{{First: 3, Rows: 40, Change: one}, {First: 43, Rows: 1, Change: two}, {First: 50, Rows: 40, Change: one}}
	for _, w := range []*Tensor{params[1], frozen} {
		together := asTensor(AdaptedLinear(ws, params[0], w, params[2], groups))
		for _, g := range groups {
			for i := g.First; i < g.First+g.Rows; i++ {
				x := NewParam(params[0].data[i*70:(i+1)*70], 1, 70)
				alone := AdaptedLinear(NewWorkspace(nil), x, params[1], params[2], []Adapted{{Rows: 1, Change: g.Change}})
				if !slices.Equal(asTensor(alone).data, together.data[i*200:(i+1)*200]) {
					t.Fatalf("row %d differs from the row alone", i)
				}
			}
		}
		plain := asTensor(Linear(ws, params[0], params[1], params[2]))
		if !slices.Equal(together.data[44*200:50*200], plain.data[44*200:50*200]) {
			t.Error("rows without a change differ from Linear's")
		}
	}
}

// TestAdaptedLinearOverAFrozenWeight trains the factors alone: their gradients
// are those that they have beside a trained weight.
func TestAdaptedLinearOverAFrozenWeight(t *testing.T) {
	var want [][]float32
	for _, trained := range []int{0, 3} { // from which input on there are gradients
		ws := NewWorkspace(nil)
		params, _ := inputs(adaptedShapes, 7)
		operands := make([]mat.Tensor, len(params))
		for i, p := range params {
			if i < trained {
				p = NewParam(p.data, p.rows, p.cols)
			}
			operands[i] = p
		}
		y := AdaptedLinear(ws, operands[0], operands[1], operands[2], adaptedGroups(operands, 0.3))
		gy := ws.New(9, 13)
		copy(gy.data, randoms(9*13, 11))
		y.AccGrad(gy)
		if err := ag.Backward(y); err != nil {
			t.Fatal(err)
		}
		for i, o := range operands[3:] {
			g := asTensor(o).Gradient()
			if trained == 0 {
				want = append(want, g)
			} else if !slices.Equal(g, want[i]) {
				t.Errorf("the gradient of factor %d is another one without the weight's", i)
			}
		}
		if trained > 0 && (operands[0].HasGrad() || operands[1].HasGrad()) {
			t.Error("an input that is not trained has a gradient")
		}
	}
}

func TestDropout(t *testing.T) {
	pool := kernels.NewPool(3)
	defer pool.Close()
	const n = 200_000
	src := make([]float32, n)
	for i := range src {
		src[i] = 1
	}
	d := Dropout{P: 0.25, Key: 9}
	dst, again := make([]float32, n), make([]float32, n)
	d.apply(pool, dst, src, 10)
	d.apply(nil, again[1000:], src[1000:], 1010)
	if !slices.Equal(dst[1000:], again[1000:]) {
		t.Error("the mask depends on where it is made")
	}
	dropped := 0
	for _, v := range dst {
		switch v {
		case 0:
			dropped++
		case 1 / (1 - d.P):
		default:
			t.Fatalf("a kept 1 became %v", v)
		}
	}
	// The standard deviation of the share is 0.001.
	if share := float64(dropped) / n; math.Abs(share-0.25) > 0.005 {
		t.Errorf("dropped %.4f of all", share)
	}
	d.With(1).apply(nil, again, src, 10)
	both := 0
	for i := range dst {
		if dst[i] == 0 && again[i] == 0 {
			both++
		}
	}
	if share := float64(both) / n; math.Abs(share-0.0625) > 0.005 {
		t.Errorf("two masks drop %.4f together, want about 0.0625", share)
	}
}
