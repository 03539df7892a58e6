package hf

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/hf/safetensors"
)

// answers is the golden.json of testdata/README.md.
type answers struct {
	Segments  []segment `json:"segments"`
	LossSum   float64   `json:"loss_sum"`
	WeightSum float64   `json:"weight_sum"`
	Loss      float64   `json:"loss"`
	Greedy    struct {
		Prompt []int32 `json:"prompt"`
		Tokens []int32 `json:"tokens"`
	} `json:"greedy"`
}

type segment struct {
	Tokens  []int32     `json:"tokens"`
	Targets []int32     `json:"targets"`
	Weights []float32   `json:"weights"`
	Logits  [][]float32 `json:"logits"`
}

func readAnswers(t *testing.T, name string) answers {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name, "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var a answers
	if err := json.Unmarshal(data, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// compute gives this project's answers to the questions of a golden file.
func compute(t *testing.T, m *gpt2.Model, questions answers) answers {
	t.Helper()
	r := gpt2.NewRunner(m, nil)
	vocab := m.Config.VocabSize
	a := questions
	a.Segments, a.LossSum = nil, 0
	for _, s := range questions.Segments {
		all := make([]int, len(s.Tokens))
		for i := range all {
			all[i] = i
		}
		one := []gpt2.Segment{{Tokens: s.Tokens}}
		logits := make([]float32, len(all)*vocab)
		if err := r.Logits(one, all, logits); err != nil {
			t.Fatal(err)
		}
		loss, err := r.Loss(one, s.Targets, s.Weights)
		if err != nil {
			t.Fatal(err)
		}
		a.LossSum += loss.Sum
		s.Logits = nil
		for i := range all {
			s.Logits = append(s.Logits, logits[i*vocab:(i+1)*vocab])
		}
		a.Segments = append(a.Segments, s)
	}
	a.Loss = a.LossSum / a.WeightSum
	a.Greedy.Tokens = greedy(t, r, questions.Greedy.Prompt, len(questions.Greedy.Tokens))
	return a
}

// greedy continues a prompt by n tokens.
func greedy(t *testing.T, r *gpt2.Runner, prompt []int32, n int) []int32 {
	t.Helper()
	cache, next := r.Model().NewCache(), prompt
	logits := make([]float32, r.Model().Config.VocabSize)
	var out []int32
	for range n {
		if err := r.Logits([]gpt2.Segment{{Tokens: next, Cache: cache}}, []int{len(next) - 1}, logits); err != nil {
			t.Fatal(err)
		}
		best := 0
		for id, v := range logits {
			if v > logits[best] {
				best = id
			}
		}
		out = append(out, int32(best))
		next = out[len(out)-1:]
	}
	return out
}

// difference is the largest difference between two sets of logits.
func difference(a, b answers) (worst float64) {
	for i, s := range a.Segments {
		for j, row := range s.Logits {
			for k, v := range row {
				worst = math.Max(worst, math.Abs(float64(v)-float64(b.Segments[i].Logits[j][k])))
			}
		}
	}
	return worst
}

// TestTransformersReadsWhatWeWrite saves every golden folder again in every
// dtype and has transformers load it: logits within 1e-4 of ours, the same
// greedy tokens, no missing and no unexpected tensor. It needs python3 with
// torch and transformers, and runs when CAUSERIE_LONG is set:
//
//	CAUSERIE_LONG=1 go test -run Transformers -v ./models/hf
//
// The other direction, folders of transformers giving the same answers here,
// is tested always: here, and with gradients in package gpt2.
func TestTransformersReadsWhatWeWrite(t *testing.T) {
	args := []string{filepath.Join("testdata", "check.py")}
	root := t.TempDir()
	for _, name := range goldens {
		old := openGolden(t, name)
		m := load(t, old)
		golden := readAnswers(t, name)
		if d := difference(golden, compute(t, m, golden)); d > 1e-4 {
			t.Errorf("%s as transformers wrote it: logits differ by %.2g", name, d)
		} else {
			t.Logf("%s as transformers wrote it: logits differ by at most %.2g", name, d)
		}
		for _, dtype := range []safetensors.DType{F32, F16, BF16} {
			dir := filepath.Join(root, name+"-"+string(dtype))
			if err := Save(dir, old.Config, old.Generation, m.Params(), dtype); err != nil {
				t.Fatal(err)
			}
			saved, err := OpenDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			again := compute(t, load(t, saved), golden) // of the rounded weights
			if err := saved.Close(); err != nil {
				t.Error(err)
			}
			text, err := json.Marshal(again)
			if err != nil {
				t.Fatal(err)
			}
			if err := writeBytes(dir, "answers.json", text); err != nil {
				t.Fatal(err)
			}
			args = append(args, dir, filepath.Join(dir, "answers.json"))
		}
	}
	if os.Getenv("CAUSERIE_LONG") == "" {
		return // all but transformers' own part is done
	}
	if err := exec.Command("python3", "-c", "import torch, transformers").Run(); err != nil {
		t.Skip("python3 with torch and transformers is not installed")
	}
	out, err := exec.CommandContext(t.Context(), "python3", args...).CombinedOutput()
	t.Logf("\n%s", out)
	if err != nil {
		t.Error(err)
	}
}
