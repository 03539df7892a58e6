package finetune

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// TestAdamWAgainstPyTorch takes the steps of testdata/adamw.json, which
// testdata/adamw.py made with PyTorch's AdamW and clip_grad_norm_.
func TestAdamWAgainstPyTorch(t *testing.T) {
	var golden struct {
		Clip, Beta1, Beta2, Eps float64
		WeightDecay             float64 `json:"weight_decay"`
		Matrix, Vector          []float32
		Steps                   []struct {
			LR, Norm       float64
			MatrixGrad     []float32 `json:"matrix_grad"`
			VectorGrad     []float32 `json:"vector_grad"`
			Matrix, Vector []float32
		}
	}
	data, err := os.ReadFile("testdata/adamw.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	params := []gpt2.Param{
		{Name: "matrix", Data: golden.Matrix, Grad: make([]float32, len(golden.Matrix)), Decay: true},
		{Name: "vector", Data: golden.Vector, Grad: make([]float32, len(golden.Vector))},
	}
	o := Options{Beta1: golden.Beta1, Beta2: golden.Beta2, Eps: golden.Eps, WeightDecay: golden.WeightDecay}
	a, n := newAdamW(nil, params, &o), newNorms(nil, params)
	for i, s := range golden.Steps {
		copy(params[0].Grad, s.MatrixGrad)
		copy(params[1].Grad, s.VectorGrad)
		norm := n.global()
		if math.Abs(norm-s.Norm) > 1e-6*s.Norm {
			t.Errorf("step %d: norm %v, want %v", i+1, norm, s.Norm)
		}
		a.step(i+1, s.LR, clipScale(norm, golden.Clip))
		for j, want := range append(s.Matrix, s.Vector...) {
			if got := append(params[0].Data, params[1].Data...)[j]; math.Abs(float64(got-want)) > 2e-6 {
				t.Errorf("step %d: weight %d is %v, want %v", i+1, j, got, want)
			}
		}
	}
}

func TestNormOrderIsFixed(t *testing.T) {
	grads := make([]float32, 5*normSpan+17)
	for i := range grads {
		grads[i] = float32(math.Sin(float64(i))) * float32(i%13)
	}
	params := []gpt2.Param{{Grad: grads[:3*normSpan+5]}, {Grad: grads[3*normSpan+5:]}}
	want := newNorms(nil, params).global()
	pool := kernels.NewPool(3)
	defer pool.Close()
	for range 5 {
		if got := newNorms(pool, params).global(); got != want {
			t.Fatalf("norm %v with three threads, %v with one", got, want)
		}
	}
	grads[3] = float32(math.NaN())
	if got := newNorms(pool, params).global(); !math.IsNaN(got) {
		t.Errorf("norm %v of a gradient with a NaN", got)
	}
	newNorms(pool, params).clear()
	if got := newNorms(pool, params).global(); got != 0 {
		t.Errorf("norm %v after clearing", got)
	}
}

func TestClipScale(t *testing.T) {
	for _, tt := range []struct{ norm, limit, want float64 }{
		{0.5, 1, 1}, {0, 1, 1}, {4, 1, 0.25}, {4, 2, 0.5}, {4, 0, 1}, {4, -1, 1},
	} {
		if got := clipScale(tt.norm, tt.limit); math.Abs(got-tt.want) > 1e-6 {
			t.Errorf("clipScale(%v, %v) = %v, want %v", tt.norm, tt.limit, got, tt.want)
		}
	}
}

func TestSchedule(t *testing.T) {
	s := Schedule{Peak: 1, Floor: 0.1, Warmup: 4, Steps: 24}
	for step, want := range map[int]float64{
		1: 0.25, 2: 0.5, 4: 1, 14: 0.55, 24: 0.1, 25: 0.1, 1000: 0.1,
		9: 0.1 + 0.9*(1+math.Cos(math.Pi/4))/2,
	} {
		if got := s.At(step); math.Abs(got-want) > 1e-15 {
			t.Errorf("At(%d) = %v, want %v", step, got, want)
		}
	}
	for step := 5; step <= 24; step++ {
		if s.At(step) >= s.At(step-1) {
			t.Errorf("the rate does not fall at step %d", step)
		}
	}
	if got := (Schedule{Peak: 1, Floor: 0, Steps: 10}).At(1); got >= 1 || got < 0.9 {
		t.Errorf("without warm-up, step 1 has %v", got)
	}
	if got := (Schedule{Peak: 1, Floor: 0.5, Warmup: 10, Steps: 10}).At(10); got != 1 {
		t.Errorf("a run that is all warm-up ends with %v", got)
	}
}
