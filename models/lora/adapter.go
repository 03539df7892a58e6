package lora

import (
	"fmt"
	"math"
	"math/rand/v2"

	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/ops"
)

// Adapter is a LoRA adapter for models of one shape.
type Adapter struct {
	Config Config
	Net    *gpt2.Adapter // what gpt2.Segment takes

	layers []gpt2.Layer // of the model
	params []gpt2.Param
}

// New makes an adapter to be trained: as PEFT does by default, A is drawn
// uniformly from ±1/√in and B is zero, so that at first it changes nothing.
// Equal seeds give equal adapters.
func New(model gpt2.Config, c Config, seed uint64) (*Adapter, error) {
	c.EnsureDefaults()
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	if err := c.checkTargets(model.AdaptableLayers()); err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	a, err := build(model, c, c.targeted)
	if err != nil {
		return nil, err
	}
	for i, change := range a.Net.Changes() {
		if change == nil {
			continue
		}
		// Kaiming's uniform distribution with a = √5 (He et al. 2015, section
		// 2.2) is ±1/√in.
		bound := 1 / math.Sqrt(float64(a.layers[i].In))
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		values := change.A.Values()
		for j := range values {
			values[j] = float32(bound * (2*rng.Float64() - 1))
		}
	}
	return a, nil
}

// build makes an adapter whose factors are zero for the layers that are chosen.
func build(model gpt2.Config, c Config, chosen func(gpt2.Layer) bool) (*Adapter, error) {
	settings, err := c.settings()
	if err != nil {
		return nil, fmt.Errorf("lora: %w", err)
	}
	a := &Adapter{Config: c, layers: model.AdaptableLayers()}
	changes := make([]*ops.LowRank, len(a.layers))
	for i, l := range a.layers {
		if !chosen(l) {
			continue
		}
		rank, scale := settings.of(modulePrefix + l.Name)
		changes[i] = &ops.LowRank{
			A:     a.factor(l.Name+suffixA, rank, l.In, false),
			B:     a.factor(l.Name+suffixB, rank, l.Out, true),
			Scale: scale,
		}
	}
	a.Net, err = gpt2.NewAdapter(model, changes)
	return a, err
}

// Names of a layer's factors after its own.
const (
	suffixA = ".lora_A.weight"
	suffixB = ".lora_B.weight"
)

// factor makes a factor [rank, width]; in files B is the other way round.
func (a *Adapter) factor(name string, rank, width int, transposed bool) *ops.Tensor {
	p := gpt2.Param{Name: name, Shape: []int{rank, width}, Data: make([]float32, rank*width), Decay: true, Conv1D: transposed}
	a.params = append(a.params, p)
	return ops.NewParam(p.Data, rank, width)
}

// Params lists the factors. Data and Grad are shared with the adapter. B is
// held transposed, [rank, out], and marked Conv1D: files have it [out, rank].
func (a *Adapter) Params() []gpt2.Param { return a.params }

// Trainable gives every factor a gradient buffer.
func (a *Adapter) Trainable() {
	i := 0
	for _, change := range a.Net.Changes() {
		if change == nil {
			continue
		}
		for _, t := range []*ops.Tensor{change.A, change.B} {
			t.Trainable()
			a.params[i].Grad = t.Gradient()
			i++
		}
	}
}

// Merge adds the adapter to the weights of a model of its shape: W + scale·B·A.
// The model then gives the logits that it gave through the adapter, but for
// rounding. Its weights must not be laid out for serving yet.
func (a *Adapter) Merge(pool *kernels.Pool, m *gpt2.Model) error {
	weights := make(map[string]gpt2.Param)
	for _, p := range m.Params() {
		weights[p.Name] = p
	}
	for i, change := range a.Net.Changes() {
		if change == nil {
			continue
		}
		l := a.layers[i]
		w := weights[l.Name+".weight"]
		if len(w.Shape) != 2 || w.Shape[0] != l.Out || w.Shape[1] != l.In {
			return fmt.Errorf("lora: the adapter is for a layer %s of shape [%d %d], the model's is %d", l.Name, l.Out, l.In, w.Shape)
		}
		if len(w.Data) != l.Out*l.In {
			return fmt.Errorf("lora: %s is laid out for serving: merge before that", l.Name)
		}
		scaled := append([]float32(nil), change.B.Values()...)
		kernels.Scale(change.Scale, scaled)
		kernels.LinearGradWeight(pool, w.Data, scaled, change.A.Values(), change.Rank(), l.Out, l.In)
	}
	return nil
}
