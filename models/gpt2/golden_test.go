package gpt2_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/hf/safetensors"
	"causerie/models/kernels"
)

// The folders under ../hf/testdata were written by Hugging Face transformers
// (testdata/make.py there), and so were the answers in their golden.json and
// gradients.safetensors, in float64.
var golden = "../hf/testdata"

type goldenFile struct {
	Segments []struct {
		Tokens  []int32     `json:"tokens"`
		Targets []int32     `json:"targets"`
		Weights []float32   `json:"weights"`
		Logits  [][]float64 `json:"logits"`
	} `json:"segments"`
	LossSum   float64 `json:"loss_sum"`
	WeightSum float64 `json:"weight_sum"`
	Greedy    struct {
		Prompt []int32 `json:"prompt"`
		Tokens []int32 `json:"tokens"`
	} `json:"greedy"`
}

// batch puts the file's segments side by side.
func (g *goldenFile) batch() (segments []gpt2.Segment, targets []int32, weights []float32, logits []float64) {
	for _, s := range g.Segments {
		segments = append(segments, gpt2.Segment{Tokens: s.Tokens})
		targets = append(targets, s.Targets...)
		weights = append(weights, s.Weights...)
		for _, row := range s.Logits {
			logits = append(logits, row...)
		}
	}
	return segments, targets, weights, logits
}

func openGolden(t *testing.T, dir string) (*gpt2.Model, *goldenFile) {
	t.Helper()
	folder, err := hf.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	m, err := gpt2.New(folder.Config.Model)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.LoadInto(m.Params()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return m, &g
}

func TestModelAgainstTransformers(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(golden, "*", "golden.json"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden folders under %s: %v", golden, err)
	}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			pool := kernels.NewPool(2)
			defer pool.Close()
			m, g := openGolden(t, dir)
			r := gpt2.NewRunner(m, pool)
			checkLogits(t, r, g)
			checkGreedy(t, r, g)
			checkGradients(t, r, g, dir)
		})
	}
}

func checkLogits(t *testing.T, r *gpt2.Runner, g *goldenFile) {
	t.Helper()
	segments, targets, weights, want := g.batch()
	got := make([]float32, len(want))
	if err := r.Logits(segments, rowsOf(0, len(targets)), got); err != nil {
		t.Fatal(err)
	}
	close64(t, "logits", got, want, 1e-4)
	loss, err := r.Loss(segments, targets, weights)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(loss.Sum-g.LossSum) > 1e-4 || math.Abs(loss.Weight-g.WeightSum) > 1e-9 {
		t.Errorf("loss %g of weight %g, want %g of %g", loss.Sum, loss.Weight, g.LossSum, g.WeightSum)
	}
}

func checkGreedy(t *testing.T, r *gpt2.Runner, g *goldenFile) {
	t.Helper()
	cache, next := r.Model().NewCache(), g.Greedy.Prompt
	logits := make([]float32, r.Model().Config.VocabSize)
	for i, want := range g.Greedy.Tokens {
		if err := r.Logits([]gpt2.Segment{{Tokens: next, Cache: cache}}, []int{len(next) - 1}, logits); err != nil {
			t.Fatal(err)
		}
		best := 0
		for id, v := range logits {
			if v > logits[best] {
				best = id
			}
		}
		if int32(best) != want {
			t.Fatalf("greedy token %d is %d, want %d", i, best, want)
		}
		next = []int32{want}
	}
}

// checkGradients compares every parameter's gradient, for the folders that
// have them.
func checkGradients(t *testing.T, r *gpt2.Runner, g *goldenFile, dir string) {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, "gradients.safetensors"))
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.New(f, info.Size(), f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Model().Trainable(); err != nil {
		t.Fatal(err)
	}
	segments, targets, weights, _ := g.batch()
	if _, err := r.LossAndGrad(segments, targets, weights, 1); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Model().Params() {
		tensor, ok := file.Tensor(p.Name)
		if !ok {
			t.Fatalf("no golden gradient of %s", p.Name)
		}
		values := make([]float32, len(p.Data))
		if err := tensor.ReadFloats(values, 0); err != nil {
			t.Fatal(err)
		}
		want := make([]float64, len(values))
		for i, v := range values {
			want[i] = float64(v)
		}
		close64(t, "gradient of "+p.Name, p.Grad, want, 1e-4)
	}
}

// close64 fails when an element is further off than tolerance, relative to the
// largest one when that is above 1.
func close64(t *testing.T, what string, got []float32, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	largest := 1.0
	for _, v := range want {
		largest = math.Max(largest, math.Abs(v))
	}
	for i := range want {
		if d := math.Abs(float64(got[i]) - want[i]); !(d <= tolerance*largest) {
			t.Fatalf("%s: value %d is %g, want %g", what, i, got[i], want[i])
		}
	}
}
