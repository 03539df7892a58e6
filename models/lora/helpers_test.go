package lora

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/hf/safetensors"
)

// base is the folder of the golden adapters' base model.
var base = filepath.Join("..", "hf", "testdata", "tied")

// goldens are the adapters that PEFT wrote (testdata/make.py).
var goldens = []string{"default", "all", "pattern"}

func openBase(t testing.TB) *gpt2.Model {
	t.Helper()
	folder, err := hf.OpenDir(base)
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
	return m
}

// answers are a golden.json: what PEFT computes in float64.
type answers struct {
	Segments []struct {
		Tokens  []int32     `json:"tokens"`
		Targets []int32     `json:"targets"`
		Weights []float32   `json:"weights"`
		Logits  [][]float64 `json:"logits"`
	} `json:"segments"`
	LossSum float64 `json:"loss_sum"`
}

func openGolden(t testing.TB, name string, model gpt2.Config) (*Adapter, answers) {
	t.Helper()
	dir := filepath.Join("testdata", name)
	a, err := OpenDir(dir, model)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var g answers
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return a, g
}

// batch puts the segments of a golden file side by side.
func (g *answers) batch(a *gpt2.Adapter) (segments []gpt2.Segment, targets []int32, weights []float32, logits []float64) {
	for _, s := range g.Segments {
		segments = append(segments, gpt2.Segment{Tokens: s.Tokens, Adapter: a})
		targets = append(targets, s.Targets...)
		weights = append(weights, s.Weights...)
		for _, row := range s.Logits {
			logits = append(logits, row...)
		}
	}
	return segments, targets, weights, logits
}

// logits of every row of the segments.
func logits(t testing.TB, r *gpt2.Runner, segments ...gpt2.Segment) []float32 {
	t.Helper()
	var rows []int
	for _, s := range segments {
		for range s.Tokens {
			rows = append(rows, len(rows))
		}
	}
	dst := make([]float32, len(rows)*r.Model().Config.VocabSize)
	if err := r.Logits(segments, rows, dst); err != nil {
		t.Fatal(err)
	}
	return dst
}

// difference is the largest difference between two lists.
func difference[T float32 | float64](got []float32, want []T) (worst float64) {
	for i, v := range got {
		worst = math.Max(worst, math.Abs(float64(v)-float64(want[i])))
	}
	return worst
}

// close32 fails when an element is further off than tolerance times the
// largest.
func close32(t *testing.T, what string, got []float32, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, want %d", what, len(got), len(want))
	}
	var largest float64
	for _, v := range want {
		largest = math.Max(largest, math.Abs(float64(v)))
	}
	if d := difference(got, want); d > tolerance*math.Max(1, largest) {
		t.Errorf("%s: off by %.2g of %.2g", what, d, largest)
	}
}

func readTensors(t *testing.T, path string) *safetensors.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	file, err := safetensors.New(f, info.Size(), path)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
