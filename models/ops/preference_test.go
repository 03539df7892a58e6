package ops

import (
	"math"
	"slices"
	"testing"

	"github.com/nlpodyssey/spago/ag"

	"causerie/models/kernels"
)

// pairsOf makes replies of the given lengths, one after the other, in which
// every fifth row, and the first two of each, are no part of the reply.
func pairsOf(lengths ...int) (replies []Reply, targets []int32, weights []float32) {
	for i, n := range lengths {
		replies = append(replies, Reply{First: len(targets), Rows: n, Reference: -float64(2*n) + float64(i)/4})
		for row := range n {
			targets = append(targets, int32((row*5+i)%21))
			weights = append(weights, 1)
			if row < 2 || row%5 == 4 {
				weights[len(weights)-1] = 0
			}
		}
	}
	return replies, targets, weights
}

// TestPreferenceLossAgainstFiniteDifferences compares values and gradients with
// the float64 twin, with pairs that share the logits' memory, and one that is
// longer than it.
func TestPreferenceLossAgainstFiniteDifferences(t *testing.T) {
	for name, lengths := range map[string][]int{
		"short":  {9, 6, 5, 12},
		"many":   {150, 100, 90, 20, 100, 110, 3, 3},
		"long":   {7, 9, 400, 330, 8, 6},
		"longer": {380, 5},
	} {
		t.Run(name, func(t *testing.T) {
			const width, vocab, beta, scale = 6, 21, 0.3, 0.5
			replies, targets, weights := pairsOf(lengths...)
			rows := len(targets)
			params, refs := inputs([][2]int{{rows, width}, {vocab, width}}, 3)
			ref := func(in []matrix) matrix {
				return matrix{1, 1, []float64{refPreferenceLoss(in[0], in[1], targets, weights, replies, beta)}}
			}
			pool := kernels.NewPool(2)
			defer pool.Close()
			ws := NewWorkspace(pool)
			// Adding zero makes a node that takes a gradient.
			zero := NewParam(make([]float32, rows*width), rows, width)
			loss := NewPreferenceLoss(ws, Add(ws, params[0], zero), params[1], targets, weights, replies, beta, scale)
			root := loss.Run(true)
			want := ref(refs).v[0]
			if math.Abs(loss.Sum-want) > 2e-5*want {
				t.Errorf("loss %g, want %g", loss.Sum, want)
			}
			if got := float64(asTensor(root).data[0]); math.Abs(got-scale*want) > 2e-5*want {
				t.Errorf("the root is %g, want %g", got, scale*want)
			}
			if err := ag.Backward(root); err != nil {
				t.Fatal(err)
			}
			direction := []float32{scale}
			compare(t, "gradient of x", sample(params[0].Gradient()), differences(ref, refs, 0, direction), 3e-5)
			compare(t, "gradient of w", sample(params[1].Gradient()), differences(ref, refs, 1, direction), 3e-5)

			again := NewPreferenceLoss(ws, params[0], params[1], targets, weights, replies, beta, 1)
			again.Run(false)
			if again.Sum != loss.Sum || !slices.Equal(again.LogProbs, loss.LogProbs) {
				t.Errorf("without gradients the loss is %g of %g, with them %g of %g", again.Sum, again.LogProbs, loss.Sum, loss.LogProbs)
			}
		})
	}
}

// TestPreferenceLossOfPairsAlone: a pair's log probabilities are bit-equal
// alone and beside others.
func TestPreferenceLossOfPairsAlone(t *testing.T) {
	const width, vocab = 10, 21
	replies, targets, weights := pairsOf(9, 6, 300, 280, 12, 40)
	x := NewParam(randoms(len(targets)*width, 5), len(targets), width)
	w := NewParam(randoms(vocab*width, 6), vocab, width)
	all := NewPreferenceLoss(NewWorkspace(nil), x, w, targets, weights, replies, 0.1, 1)
	all.Run(false)
	var sum float64
	for i := 0; i < len(replies); i += 2 {
		one := NewPreferenceLoss(NewWorkspace(nil), x, w, targets, weights, replies[i:i+2], 0.1, 1)
		one.Run(false)
		sum += one.Sum
		if !slices.Equal(one.LogProbs, all.LogProbs[i:i+2]) {
			t.Errorf("pair %d: %g alone, %g beside others", i/2, one.LogProbs, all.LogProbs[i:i+2])
		}
	}
	if sum != all.Sum {
		t.Errorf("the losses are %g alone, %g together", sum, all.Sum)
	}
}

// TestPreferenceLossExtremes: margins that overflow an exponential give finite
// losses and gradients.
func TestPreferenceLossExtremes(t *testing.T) {
	replies, targets, weights := pairsOf(6, 6)
	for _, tt := range []struct{ reference, loss, slope float64 }{
		{1e6, 1e6, 1}, {-1e6, 0, 0},
	} {
		replies[0].Reference = tt.reference
		params, _ := inputs([][2]int{{12, 4}, {21, 4}}, 3)
		ws := NewWorkspace(nil)
		loss := NewPreferenceLoss(ws, Add(ws, params[0], NewParam(make([]float32, 48), 12, 4)), params[1], targets, weights, replies, 1, 1)
		if err := ag.Backward(loss.Run(true)); err != nil {
			t.Fatal(err)
		}
		var largest float64
		for _, g := range slices.Concat(params[0].Gradient(), params[1].Gradient()) {
			largest = max(largest, math.Abs(float64(g)))
			if math.IsNaN(float64(g)) {
				t.Fatal("a gradient is no number")
			}
		}
		if math.Abs(loss.Sum-tt.loss) > 100 || (largest > 0) != (tt.slope > 0) {
			t.Errorf("reference %g: loss %g, largest gradient %g", tt.reference, loss.Sum, largest)
		}
	}
}
