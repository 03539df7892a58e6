package gpt2_test

import (
	"strings"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

func TestConfigErrorsNameTheField(t *testing.T) {
	for _, c := range []struct {
		change func(*gpt2.Config)
		want   string
	}{
		{func(c *gpt2.Config) { c.VocabSize = 0 }, "vocab_size"},
		{func(c *gpt2.Config) { c.Heads = 5 }, "n_head"},
		{func(c *gpt2.Config) { c.Layers = -1 }, "n_layer"},
		{func(c *gpt2.Config) { c.Eps = -1 }, "layer_norm_epsilon"},
	} {
		cfg := small
		c.change(&cfg)
		if _, err := gpt2.New(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v does not name %s", cfg, err, c.want)
		}
	}
}

func TestLogitsRefusesWhatItCannotCompute(t *testing.T) {
	m := newModel(t, small)
	r := gpt2.NewRunner(m, nil)
	full, twice := m.NewCache(), m.NewCache()
	if err := r.Logits([]gpt2.Segment{{Tokens: make([]int32, 200), Cache: full}}, nil, nil); err != nil {
		t.Fatal(err)
	}
	foreign := newModel(t, gpt2.Config{VocabSize: 9, Positions: 8, Width: 8, Heads: 2, Layers: 1}).NewCache()
	for _, c := range []struct {
		name     string
		segments []gpt2.Segment
		rows     []int
		dst      int
		want     string
	}{
		{"nothing", nil, nil, 0, "no segments"},
		{"empty segment", []gpt2.Segment{{}}, nil, 0, "segment 0: it holds no tokens"},
		{"id too large", []gpt2.Segment{{Tokens: []int32{1, 97}}}, nil, 0, "token 97 at position 1 is not in [0, 97)"},
		{"negative id", []gpt2.Segment{{Tokens: []int32{-1}}}, nil, 0, "token -1"},
		{"too long", []gpt2.Segment{{Tokens: make([]int32, 201)}}, nil, 0, "201 tokens are more than the context of 200"},
		{"cache full", []gpt2.Segment{{Tokens: []int32{1}, Cache: full}}, nil, 0, "201 tokens"},
		{"cache twice", []gpt2.Segment{{Tokens: []int32{1}, Cache: twice}, {Tokens: []int32{1}, Cache: twice}}, nil, 0, "segment 1: its cache"},
		{"foreign cache", []gpt2.Segment{{Tokens: []int32{1}, Cache: foreign}}, nil, 0, "another shape"},
		{"row outside", []gpt2.Segment{{Tokens: []int32{1}}}, []int{1}, 97, "row 1"},
		{"no room", []gpt2.Segment{{Tokens: []int32{1}}}, []int{0}, 96, "room for 96"},
	} {
		err := r.Logits(c.segments, c.rows, make([]float32, c.dst))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if full.Len() != 200 || twice.Len() != 0 {
		t.Errorf("a refused call changed a cache: %d and %d tokens", full.Len(), twice.Len())
	}
}

func TestTrainingRefusesWhatItCannotCompute(t *testing.T) {
	m := newModel(t, small)
	r := gpt2.NewRunner(m, nil)
	one := []gpt2.Segment{{Tokens: []int32{1}}}
	grad := func(s []gpt2.Segment, target int32, scale float32) error {
		_, err := r.LossAndGrad(s, []int32{target}, []float32{1}, scale)
		return err
	}
	check := func(name string, err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", name, err, want)
		}
	}
	check("not trainable", grad(one, 2, 1), "Trainable")
	if err := m.Trainable(); err != nil {
		t.Fatal(err)
	}
	check("target outside", grad(one, 97, 1), "target 97 of row 0")
	check("cache", grad([]gpt2.Segment{{Tokens: []int32{1}, Cache: m.NewCache()}}, 2, 1), "cannot be trained on")
	check("scale", grad(one, 2, 0), "scale")
	_, err := r.Loss(one, []int32{1, 2}, []float32{1})
	check("targets", err, "2 targets and 1 weights for 1 rows")
	if err := grad(one, 2, 1); err != nil {
		t.Errorf("a good batch after bad ones: %v", err)
	}
	m.Freeze(nil, kernels.Float32)
	check("frozen", grad(one, 2, 1), "gradients")
	check("frozen", m.Trainable(), "serving")
}
