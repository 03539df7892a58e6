package lora

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// dpoGolden is dpo/golden.json: what PyTorch computes in float64.
type dpoGolden struct {
	Beta           float64
	Adapter, Model dpoAnswers
}

type dpoAnswers struct {
	Loss  float64
	Pairs []struct {
		Prompt, Chosen, Rejected []int32
		ChosenLogProb            float64     `json:"chosen_log_prob"`
		RejectedLogProb          float64     `json:"rejected_log_prob"`
		ChosenReference          float64     `json:"chosen_reference"`
		RejectedReference        float64     `json:"rejected_reference"`
		ChosenReward             float64     `json:"chosen_reward"`
		RejectedReward           float64     `json:"rejected_reward"`
		ChosenLogits             [][]float64 `json:"chosen_logits"`
		RejectedLogits           [][]float64 `json:"rejected_logits"`
	}
}

// batch puts the pairs side by side, through an adapter or none, and lists the
// logits.
func (g dpoAnswers) batch(a *gpt2.Adapter, beta float64) (p gpt2.Preferences, logits []float64) {
	p.Beta = beta
	for _, pair := range g.Pairs {
		for _, reply := range [][]int32{pair.Chosen, pair.Rejected} {
			ids := slices.Concat(pair.Prompt, reply)
			p.Segments = append(p.Segments, gpt2.Segment{Tokens: ids[:len(ids)-1], Adapter: a})
			p.Targets = append(p.Targets, ids[1:]...)
			for i := 1; i < len(ids); i++ {
				p.Weights = append(p.Weights, min(1, float32(max(0, i-len(pair.Prompt)+1))))
			}
		}
		for _, row := range slices.Concat(pair.ChosenLogits, pair.RejectedLogits) {
			logits = append(logits, row...)
		}
	}
	return p, logits
}

// TestPreferencesAgainstPyTorch holds log probabilities, rewards, loss and
// gradients of direct preference optimization against PyTorch's: of an adapter
// whose base is the reference, and of a whole model. The references are
// computed here, too.
func TestPreferencesAgainstPyTorch(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "dpo", "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden dpoGolden
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	pool := kernels.NewPool(2)
	defer pool.Close()
	t.Run("adapter", func(t *testing.T) {
		m := openBase(t)
		a, err := OpenDir(filepath.Join("testdata", "all"), m.Config)
		if err != nil {
			t.Fatal(err)
		}
		a.Trainable()
		checkPreferences(t, gpt2.NewRunner(m, pool), golden.Beta, golden.Adapter, a.Net, nil)
		checkGradients(t, a, filepath.Join("testdata", "dpo", "adapter.safetensors"))
	})
	t.Run("model", func(t *testing.T) {
		m := openBase(t)
		a, err := OpenDir(filepath.Join("testdata", "all"), m.Config)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Trainable(); err != nil {
			t.Fatal(err)
		}
		checkPreferences(t, gpt2.NewRunner(m, pool), golden.Beta, golden.Model, nil, a.Net)
		file := readTensors(t, filepath.Join("testdata", "dpo", "model.safetensors"))
		for _, p := range m.Params() {
			tensor, ok := file.Tensor(p.Name)
			if !ok {
				t.Fatalf("no golden gradient of %s", p.Name)
			}
			want := make([]float32, tensor.Len())
			if err := tensor.ReadFloats(want, 0); err != nil {
				t.Fatal(err)
			}
			close32(t, "gradient of "+p.Name, p.Grad, want, 5e-5)
		}
	})
}

// checkPreferences compares everything but the gradients, which it leaves
// behind.
func checkPreferences(t *testing.T, r *gpt2.Runner, beta float64, want dpoAnswers, policy, reference *gpt2.Adapter) {
	t.Helper()
	p, allLogits := want.batch(policy, beta)
	if d := difference(logits(t, r, p.Segments...), allLogits); d > 1e-4 {
		t.Errorf("logits differ by %.2g", d)
	}
	started, _ := want.batch(reference, beta)
	p.Reference = make([]float64, len(p.Segments))
	if _, err := r.PreferenceLoss(started, p.Reference); err != nil {
		t.Fatal(err)
	}
	logProbs := make([]float64, len(p.Segments))
	loss, err := r.PreferenceLossAndGrad(p, logProbs, 1)
	if err != nil {
		t.Fatal(err)
	}
	near := func(what string, pair int, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-4 {
			t.Errorf("pair %d: %s %g, want %g", pair, what, got, want)
		}
	}
	near("the loss of all is", -1, loss, want.Loss)
	for i, pair := range want.Pairs {
		chosen, rejected := 2*i, 2*i+1
		near("the chosen reply's log probability is", i, logProbs[chosen], pair.ChosenLogProb)
		near("the rejected reply's log probability is", i, logProbs[rejected], pair.RejectedLogProb)
		near("the chosen reply's reference is", i, p.Reference[chosen], pair.ChosenReference)
		near("the rejected reply's reference is", i, p.Reference[rejected], pair.RejectedReference)
		near("the chosen reply's reward is", i, beta*(logProbs[chosen]-p.Reference[chosen]), pair.ChosenReward)
		near("the rejected reply's reward is", i, beta*(logProbs[rejected]-p.Reference[rejected]), pair.RejectedReward)
	}
}

func TestBadPreferences(t *testing.T) {
	m := openBase(t)
	r := gpt2.NewRunner(m, nil)
	pair := func() gpt2.Preferences {
		s := gpt2.Segment{Tokens: []int32{1, 2}}
		return gpt2.Preferences{
			Segments: []gpt2.Segment{s, s}, Targets: []int32{2, 3, 2, 4}, Weights: []float32{0, 1, 0, 1},
			Reference: []float64{-1, -2}, Beta: 0.1,
		}
	}
	for name, change := range map[string]func(*gpt2.Preferences){
		"an odd number":      func(p *gpt2.Preferences) { p.Segments = p.Segments[:1] },
		"too few references": func(p *gpt2.Preferences) { p.Reference = p.Reference[:1] },
		"no beta":            func(p *gpt2.Preferences) { p.Beta = 0 },
		"infinite beta":      func(p *gpt2.Preferences) { p.Beta = math.Inf(1) },
		"too few targets":    func(p *gpt2.Preferences) { p.Targets = p.Targets[:3] },
		"an unknown target":  func(p *gpt2.Preferences) { p.Targets[1] = 1000 },
	} {
		p := pair()
		change(&p)
		if _, err := r.PreferenceLoss(p, make([]float64, len(p.Segments))); err == nil {
			t.Errorf("%s is no error", name)
		}
	}
	if _, err := r.PreferenceLoss(pair(), nil); err == nil {
		t.Error("no room for the log probabilities is no error")
	}
	if _, err := r.PreferenceLossAndGrad(pair(), make([]float64, 2), 1); err == nil {
		t.Error("a model without gradients was trained")
	}
	if loss, err := r.PreferenceLoss(pair(), make([]float64, 2)); err != nil || !(loss > 0) {
		t.Errorf("%g, %v", loss, err)
	}
}
