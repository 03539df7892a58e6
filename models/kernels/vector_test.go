package kernels

import (
	"fmt"
	"math"
	"testing"
)

// A rowCase computes something from rows of n random numbers and returns all
// that it wrote.
type rowCase struct {
	name string
	run  func(in [4][]float32) []float32
}

func clone(x []float32) []float32 { return append([]float32(nil), x...) }

func join(xs ...[]float32) (all []float32) {
	for _, x := range xs {
		all = append(all, x...)
	}
	return all
}

var rowCases = []rowCase{
	{"Sum", func(in [4][]float32) []float32 { return []float32{Sum(in[0])} }},
	{"Max", func(in [4][]float32) []float32 { return []float32{Max(in[0])} }},
	{"Dot", func(in [4][]float32) []float32 { return []float32{Dot(in[0], in[1])} }},
	{"SumSquares", func(in [4][]float32) []float32 {
		v := SumSquares(in[0])
		return []float32{float32(v), float32(v - float64(float32(v)))}
	}},
	{"Axpy", func(in [4][]float32) []float32 { y := clone(in[1]); Axpy(0.3, in[0], y); return y }},
	{"Scale", func(in [4][]float32) []float32 { y := clone(in[1]); Scale(0.3, y); return y }},
	{"Add", func(in [4][]float32) []float32 { y := clone(in[1]); Add(nil, y, in[0], y); return y }},
	{"Exp", func(in [4][]float32) []float32 {
		y := clone(in[1])
		Scale(30, y)
		Exp(y, y)
		return y
	}},
	{"Softmax", func(in [4][]float32) []float32 {
		y := clone(in[1])
		largest, sum := SoftmaxRow(y, y, 0.7)
		return append(y, largest, sum)
	}},
	{"ExpShift", func(in [4][]float32) []float32 { y := clone(in[1]); ExpShift(y, y, 0.7, 1.5); return y }},
	{"SoftmaxBackward", func(in [4][]float32) []float32 {
		y := clone(in[1])
		SoftmaxBackward(y, in[0], y, 0.7)
		return y
	}},
	{"GELU", func(in [4][]float32) []float32 { y := clone(in[0]); Scale(3, y); GELU(nil, y, y); return y }},
	{"GELUBackward", func(in [4][]float32) []float32 {
		y := clone(in[0])
		GELUBackward(nil, y, y, in[1])
		return y
	}},
	{"GELUErf", func(in [4][]float32) []float32 { y := clone(in[0]); Scale(3, y); GELUErf(nil, y, y); return y }},
	{"GELUErfBackward", func(in [4][]float32) []float32 {
		y := clone(in[0])
		GELUErfBackward(nil, y, y, in[1])
		return y
	}},
	{"LayerNorm", func(in [4][]float32) []float32 {
		y, mean, rstd := clone(in[0]), make([]float32, 1), make([]float32, 1)
		LayerNorm(nil, y, mean, rstd, in[0], in[1], in[2], 1, len(y), 1e-5)
		return join(y, mean, rstd)
	}},
	{"LayerNormBackward", func(in [4][]float32) []float32 {
		dx, dg, db := clone(in[0]), clone(in[1]), clone(in[2])
		LayerNormBackward(nil, dx, dg, db, in[1], in[2], []float32{0.1}, []float32{0.9}, in[3], 1, len(dx))
		return join(dx, dg, db)
	}},
	{"CrossEntropyRow", func(in [4][]float32) []float32 {
		y := clone(in[0])
		target := int32(len(y) / 2)
		loss := CrossEntropyLoss(y, target)
		return append(y, float32(loss), float32(CrossEntropyRow(y, target, 1.5)))
	}},
	{"AdamW", func(in [4][]float32) []float32 {
		w, m, v := clone(in[0]), clone(in[1]), clone(in[2])
		for i := range v {
			v[i] *= v[i]
		}
		AdamW(nil, w, in[3], m, v, testStep)
		return join(w, m, v)
	}},
}

var testStep = AdamWStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.95, Eps: 1e-8, WeightDecay: 0.1,
	Correction1: 1 - 0.9*0.9, Correction2: 1 - 0.95*0.95, GradScale: 0.5}

// TestRowsOnEveryPath: assembly and plain Go agree to the bit.
func TestRowsOnEveryPath(t *testing.T) {
	defer func(was path) { active = was }(active)
	for _, c := range rowCases {
		t.Run(c.name, func(t *testing.T) {
			for n := 1; n < 200; n += 1 + n/40 {
				checkRow(t, c, n, uint64(n))
			}
		})
	}
}

func checkRow(t *testing.T, c rowCase, n int, seed uint64) {
	t.Helper()
	r := newRand(seed)
	in := [4][]float32{random(r, n), random(r, n), random(r, n), random(r, n)}
	active = pathGeneric
	want := c.run(in)
	for active = pathAVX2; active <= bestPath(); active++ {
		sameBits(t, fmt.Sprintf("%s of %d on %s", c.name, n, active), c.run(in), want)
	}
}

func FuzzRows(f *testing.F) {
	for i := range rowCases {
		f.Add(uint8(i), uint64(i), uint16(40+i))
	}
	f.Fuzz(func(t *testing.T, which uint8, seed uint64, n uint16) {
		defer func(was path) { active = was }(active)
		checkRow(t, rowCases[int(which)%len(rowCases)], 1+int(n)%2000, seed)
	})
}

// FuzzExp gives all paths the same bits, whatever they mean as numbers.
func FuzzExp(f *testing.F) {
	for _, x := range []float32{0, 1, -86.9, -87, 88.72, 89, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e-40} {
		f.Add(math.Float32bits(x))
	}
	f.Fuzz(func(t *testing.T, bits uint32) {
		defer func(was path) { active = was }(active)
		x := math.Float32frombits(bits)
		want := exp32(x)
		for active = pathAVX2; active <= bestPath(); active++ {
			got := []float32{x}
			Exp(got, got)
			if got[0] != want && (got[0] == got[0] || want == want) {
				t.Errorf("exp(%v) on %s is %v, want %v", x, active, got[0], want)
			}
		}
	})
}

// TestZerosAtTheEndOfARow: what is masked at the end may as well be absent.
func TestZerosAtTheEndOfARow(t *testing.T) {
	onPaths(t, func(t *testing.T) {
		r := newRand(7)
		for n := 1; n < 100; n += 7 {
			short := random(r, n)
			long := clone(short)
			for range 75 {
				long = append(long, float32(math.Inf(-1)))
			}
			Softmax(short, short, 0.5)
			Softmax(long, long, 0.5)
			sameBits(t, "probabilities", long[:n], short)
			sameBits(t, "sum", []float32{Sum(long)}, []float32{Sum(short)})
			v := random(r, len(long))
			sameBits(t, "dot", []float32{Dot(long, v)}, []float32{Dot(short, v)})
		}
	})
}
