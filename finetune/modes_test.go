package finetune

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/models/kernels"
)

// TestModesBitExact: training in bfloat16 is as reproducible as in float32, and
// recomputing shows in neither.
func TestModesBitExact(t *testing.T) {
	weights := map[string]bool{}
	for _, precision := range []kernels.DType{kernels.Float32, kernels.BFloat16} {
		o := smallOptions(t)
		o.Last, o.Precision = true, precision
		if _, err := Train(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		want := readAll(t, o.Out)
		weights[want[weightsFile]] = true
		for _, recompute := range []bool{false, true} {
			o.Out, o.Resume, o.Recompute, o.Threads = filepath.Join(t.TempDir(), "run"), true, recompute, 2
			o.SaveEvery = Every{Time: time.Hour}
			interruptAt(t, o, 5)
			o.Threads, o.Recompute = 3, !recompute
			if _, err := Train(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			compareRuns(t, want, readAll(t, o.Out))
		}
	}
	if len(weights) != 2 {
		t.Error("both precisions gave the same weights")
	}
}

// TestPrecisionIsPartOfARun: a run is not resumed in another precision.
func TestPrecisionIsPartOfARun(t *testing.T) {
	o := smallOptions(t)
	o.Resume = true
	interruptAt(t, o, 2)
	o.Precision = kernels.BFloat16
	_, err := Train(t.Context(), o)
	if mismatch := (*MismatchError)(nil); !errors.As(err, &mismatch) || !strings.Contains(err.Error(), "precision was not given, now it is bf16") {
		t.Errorf("%v", err)
	}
}

// TestBFloat16Learns: the validation loss is that of float32 within half a
// percent.
func TestBFloat16Learns(t *testing.T) {
	losses := map[kernels.DType]float64{}
	for _, precision := range []kernels.DType{kernels.Float32, kernels.BFloat16} {
		o := smallOptions(t)
		o.Precision, o.Steps, o.EvalEvery, o.SaveEvery, o.Width, o.Threads = precision, 60, 60, Every{Steps: 60}, 32, 0
		var rec recorder
		if _, err := Train(t.Context(), o, &rec); err != nil {
			t.Fatal(err)
		}
		losses[precision] = rec.validations[len(rec.validations)-1].Loss
	}
	exact, rounded := losses[kernels.Float32], losses[kernels.BFloat16]
	if math.Abs(rounded-exact) > 0.005*exact {
		t.Errorf("the validation loss is %.4f, in float32 %.4f", rounded, exact)
	}
}
