package ops

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/nlpodyssey/spago/ag"
	"github.com/nlpodyssey/spago/mat"

	"causerie/models/kernels"
)

// opCase is an operator as a function of its differentiable inputs, beside
// the same function in float64.
type opCase struct {
	name   string
	shapes [][2]int
	build  func(ws *Workspace, in []mat.Tensor) mat.Tensor
	ref    func(in []matrix) matrix
}

func opCases() []opCase {
	spans := []Span{{First: 0, Rows: 5}, {First: 5, Rows: 1}, {First: 6, Rows: 70}}
	ids := make([]int32, 76)
	for i := range ids {
		ids[i] = int32(i * 7 % 11)
	}
	rows := []int{3, 0, 3, 5}
	attention := func(heads, size int) opCase {
		return opCase{
			fmt.Sprintf("attention/heads=%d,size=%d", heads, size), [][2]int{{76, 3 * heads * size}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return Attention(ws, in[0], spans, heads, 0, false) },
			func(in []matrix) matrix { return refAttention(in[0], spans, heads, false) },
		}
	}
	bidirectional := func(heads, size int) opCase {
		return opCase{
			fmt.Sprintf("bidirectional attention/heads=%d,size=%d", heads, size), [][2]int{{76, 3 * heads * size}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor {
				return BidirectionalAttention(ws, in[0], spans, heads)
			},
			func(in []matrix) matrix { return refAttention(in[0], spans, heads, true) },
		}
	}
	types := make([]int32, len(ids))
	for i := range types {
		types[i] = int32(i % 3)
	}
	return []opCase{
		{
			"linear", [][2]int{{6, 10}, {13, 10}, {13, 1}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return Linear(ws, in[0], in[1], in[2]) },
			func(in []matrix) matrix { return refLinear(in[0], in[1], in[2]) },
		},
		{
			"layer norm", [][2]int{{6, 20}, {20, 1}, {20, 1}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return LayerNorm(ws, in[0], in[1], in[2], 1e-5) },
			func(in []matrix) matrix { return refLayerNorm(in[0], in[1], in[2], 1e-5) },
		},
		{
			"gelu", [][2]int{{7, 19}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return GELU(ws, in[0]) },
			func(in []matrix) matrix { return refGELU(in[0]) },
		},
		{
			"erf gelu", [][2]int{{7, 19}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return GELUErf(ws, in[0]) },
			func(in []matrix) matrix { return refGELUErf(in[0]) },
		},
		{
			"add and norm", [][2]int{{6, 20}, {6, 20}, {20, 1}, {20, 1}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return AddNorm(ws, in[0], in[1], in[2], in[3], 1e-12) },
			func(in []matrix) matrix { return refLayerNorm(refAdd(in[0], in[1]), in[2], in[3], 1e-12) },
		},
		{
			"add", [][2]int{{5, 9}, {5, 9}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return Add(ws, in[0], in[1]) },
			func(in []matrix) matrix { return refAdd(in[0], in[1]) },
		},
		{
			"gather", [][2]int{{6, 8}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return Gather(ws, in[0], rows) },
			func(in []matrix) matrix { return refGather(in[0], rows) },
		},
		{
			"embed", [][2]int{{11, 6}, {72, 6}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor { return Embed(ws, in[0], in[1], ids, spans) },
			func(in []matrix) matrix { return refEmbed(in[0], in[1], ids, spans) },
		},
		{
			"embed typed", [][2]int{{11, 6}, {3, 6}, {72, 6}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor {
				return EmbedTyped(ws, in[0], in[1], in[2], ids, types, spans)
			},
			func(in []matrix) matrix { return refAdd(refEmbed(in[0], in[2], ids, spans), refRows(in[1], types)) },
		},
		{
			"post-norm block", [][2]int{{6, 12}, {12, 12}, {12, 1}, {12, 1}, {12, 1}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor {
				x := GELUErf(ws, in[0])
				for range 2 {
					x = AddNorm(ws, x, Linear(ws, GELUErf(ws, Linear(ws, x, in[1], in[2])), in[1], in[2]), in[3], in[4], 1e-5)
				}
				return x
			},
			func(in []matrix) matrix {
				x := refGELUErf(in[0])
				for range 2 {
					inner := refGELUErf(refLinear(x, in[1], in[2]))
					x = refLayerNorm(refAdd(x, refLinear(inner, in[1], in[2])), in[3], in[4], 1e-5)
				}
				return x
			},
		},
		{
			"residual block", [][2]int{{6, 12}, {12, 1}, {12, 1}, {12, 12}, {12, 1}},
			func(ws *Workspace, in []mat.Tensor) mat.Tensor {
				x := GELU(ws, in[0])
				return Add(ws, x, Linear(ws, LayerNorm(ws, x, in[1], in[2], 1e-5), in[3], in[4]))
			},
			func(in []matrix) matrix {
				x := refGELU(in[0])
				return refAdd(x, refLinear(refLayerNorm(x, in[1], in[2], 1e-5), in[3], in[4]))
			},
		},
		adaptedCase("adapted linear", 0), adaptedCase("adapted linear with dropout", 0.3),
		attention(1, 4), attention(3, 8), attention(2, 32), attention(1, 40),
		bidirectional(1, 4), bidirectional(3, 8), bidirectional(1, 40),
	}
}

// precisions are what products may round their operands to, and how far off a
// value and a gradient may be then, as parts of the largest.
var precisions = map[kernels.DType]struct{ value, gradient float64 }{
	kernels.Float32:  {1e-5, 2e-5},
	kernels.BFloat16: {1e-2, 3e-2},
}

func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	for d := range precisions {
		t.Run(d.String(), func(t *testing.T) { checkGradients(t, d) })
	}
}

func checkGradients(t *testing.T, d kernels.DType) {
	pool := kernels.NewPool(2)
	defer pool.Close()
	for _, c := range opCases() {
		t.Run(c.name, func(t *testing.T) {
			ws := NewWorkspace(pool)
			ws.SetPrecision(d)
			params, refs := inputs(c.shapes, 7)
			operands := make([]mat.Tensor, len(params))
			for i, p := range params {
				operands[i] = p
			}
			y := c.build(ws, operands)
			want := c.ref(refs)
			compare(t, "value", asTensor(y).data, want.v, precisions[d].value)

			direction := randoms(len(want.v), 11)
			gy := ws.New(want.rows, want.cols)
			copy(gy.data, direction)
			y.AccGrad(gy)
			if err := ag.Backward(y); err != nil {
				t.Fatal(err)
			}
			for i, p := range params {
				got, want := sample(p.Gradient()), differences(c.ref, refs, i, direction)
				compare(t, fmt.Sprintf("gradient of input %d", i), got, want, precisions[d].gradient)
			}
		})
	}
}

// inputs makes parameters of the given shapes and the same values in float64.
func inputs(shapes [][2]int, seed uint64) ([]*Tensor, []matrix) {
	var params []*Tensor
	var refs []matrix
	for i, s := range shapes {
		p := NewParam(randoms(s[0]*s[1], seed+uint64(i)), s[0], s[1])
		p.Trainable()
		m := zeros(s[0], s[1])
		for j, v := range p.data {
			m.v[j] = float64(v)
		}
		params, refs = append(params, p), append(refs, m)
	}
	return params, refs
}

func randoms(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

// sample takes at most a few hundred elements, evenly: enough to meet every
// block, lane and head.
func sample[T any](v []T) []T {
	step := 1 + len(v)/223
	var s []T
	for i := 0; i < len(v); i += step {
		s = append(s, v[i])
	}
	return s
}

// differences is the sampled gradient of Σ direction·f by central differences
// with respect to input number i.
func differences(f func([]matrix) matrix, in []matrix, i int, direction []float32) []float64 {
	const h = 1e-5
	along := func() float64 {
		var sum float64
		for j, v := range f(in).v {
			sum += float64(direction[j]) * v
		}
		return sum
	}
	x := in[i].v
	at := make([]int, len(x))
	for j := range at {
		at[j] = j
	}
	var g []float64
	for _, j := range sample(at) {
		v := x[j]
		x[j] = v + h
		up := along()
		x[j] = v - h
		down := along()
		x[j] = v
		g = append(g, (up-down)/(2*h))
	}
	return g
}

// compare fails when an element is further off than tolerance times the
// largest element.
func compare(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	var largest float64
	for _, v := range want {
		largest = math.Max(largest, math.Abs(v))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tolerance*math.Max(largest, 1)) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}

func TestLossGradientAgainstFiniteDifferences(t *testing.T) {
	for d := range precisions {
		t.Run(d.String(), func(t *testing.T) { checkLossGradient(t, d) })
	}
}

func checkLossGradient(t *testing.T, d kernels.DType) {
	off := precisions[d]
	const rows, width, vocab = 9, 6, 21
	params, refs := inputs([][2]int{{rows, width}, {vocab, width}}, 3)
	targets, weights := make([]int32, rows), make([]float32, rows)
	for i := range targets {
		targets[i], weights[i] = int32(i*5%vocab), float32(i%3) // every third row is not counted
	}
	ref := func(in []matrix) matrix {
		return matrix{1, 1, []float64{refLoss(in[0], in[1], targets, weights)}}
	}
	ws := NewWorkspace(nil)
	ws.SetPrecision(d)
	// The operator is the root, so its input must be a node that takes a
	// gradient; adding zero makes one.
	zero := NewParam(make([]float32, rows*width), rows, width)
	loss := NewLoss(ws, Add(ws, params[0], zero), params[1], targets, weights, 0.5)
	root := loss.Run(true)
	if want := refLoss(refs[0], refs[1], targets, weights); math.Abs(loss.Sum-want) > off.value*want {
		t.Errorf("loss %g, want %g", loss.Sum, want)
	}
	if want := 9.0; loss.Weight != want {
		t.Errorf("weight %g, want %g", loss.Weight, want)
	}
	if err := ag.Backward(root); err != nil {
		t.Fatal(err)
	}
	half := []float32{0.5}
	compare(t, "gradient of x", sample(params[0].Gradient()), differences(ref, refs, 0, half), off.gradient)
	compare(t, "gradient of w", sample(params[1].Gradient()), differences(ref, refs, 1, half), off.gradient)

	again := NewLoss(ws, params[0], params[1], targets, weights, 1)
	again.Nats = make([]float64, rows)
	again.Run(false)
	var sum float64
	for _, v := range again.Nats {
		sum += v
	}
	if sum != again.Sum || math.Abs(again.Sum-loss.Sum) > 1e-5*loss.Sum {
		t.Errorf("without gradients the loss is %g (rows: %g), with them %g", again.Sum, sum, loss.Sum)
	}
}
