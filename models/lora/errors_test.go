package lora

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"causerie/models/gpt2"
	"causerie/models/ops"
)

func TestParseConfig(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", `{`, "not valid JSON"},
		{"a list", `[]`, "array"},
		{"another kind", `{"peft_type":"IA3"}`, `only LORA is supported, not "IA3"`},
		{"a text for a number", `{"peft_type":"LORA","r":"8"}`, "r: a string"},
		{"rank", `{"peft_type":"LORA","r":0}`, "rank must lie between"},
		{"alpha", `{"peft_type":"LORA","lora_alpha":-1}`, "alpha must be positive"},
		{"dropout", `{"peft_type":"LORA","lora_dropout":1}`, "dropout"},
		{"bias", `{"peft_type":"LORA","bias":"all"}`, `bias: trained biases ("all")`},
		{"DoRA", `{"peft_type":"LORA","use_dora":true}`, "use_dora"},
		{"whole modules", `{"peft_type":"LORA","modules_to_save":["lm_head"]}`, "modules_to_save"},
		{"PiSSA", `{"peft_type":"LORA","init_lora_weights":"pissa_niter_4"}`, "init_lora_weights"},
		{"targets", `{"peft_type":"LORA","target_modules":7}`, "target_modules"},
		{"a pattern", `{"peft_type":"LORA","rank_pattern":{"(":2}}`, "no regular expression"},
		{"a pattern's value", `{"peft_type":"LORA","rank_pattern":{"c_fc":2.5}}`, "whole number"},
		{"no pattern", `{"peft_type":"LORA","alpha_pattern":[1]}`, "object"},
	} {
		if _, err := ParseConfig([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	c, err := ParseConfig([]byte(`{"peft_type":"LORA","r":4,"rank_pattern":{"b":1,"a":2},"target_modules":null,"bias":"none"}`))
	if err != nil || c.Rank != 4 || c.Alpha != 8 || !slices.Equal(c.Ranks, []Exception{{"b", 1}, {"a", 2}}) || c.Targets[0] != "c_attn" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestOpenSaysWhatIsWrong damages a good folder in one way at a time.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	m := openBase(t)
	good := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join("testdata", "default", name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	config, weights := string(good(configFile)), string(good(weightsFile))
	other := m.Config
	other.Layers = 1
	wide := m.Config
	wide.Width, wide.Inner = 64, 0
	for _, c := range []struct {
		name            string
		config, weights string
		model           gpt2.Config
		want            string
	}{
		{"no config", "", weights, m.Config, configFile},
		{"no weights", config, "", m.Config, weightsFile},
		{"cut short", config, weights[:len(weights)-4], m.Config, weightsFile},
		{"another rank", strings.Replace(config, `"r": 8`, `"r": 4`, 1), weights, m.Config, "lora_A.weight has shape [8 32]"},
		{"fewer layers", config, weights, other, "h.1.attn.c_attn.lora_A.weight of shape [8 32] has no place"},
		{"wider", config, weights, wide, "need [8 64]"},
		{"a name", config, strings.Replace(weights, "h.0.attn.c_attn.lora_B", "h.0.attn.c_attn.lora_X", 1), m.Config, "lora_X"},
		{"half a pair", config, strings.Replace(weights, "h.0.attn.c_attn.lora_B", "h.0.attn.c_proj.lora_B", 1), m.Config, "is missing"},
		{"not a number", config, weights[:len(weights)-4] + "\xff\xff\xff\x7f", m.Config, "NaN"},
	} {
		fsys := fstest.MapFS{}
		if c.config != "" {
			fsys[configFile] = &fstest.MapFile{Data: []byte(c.config)}
		}
		if c.weights != "" {
			fsys[weightsFile] = &fstest.MapFile{Data: []byte(c.weights)}
		}
		if _, err := Open(fsys, "mine", c.model); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "mine/") {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := OpenDir(filepath.Join(t.TempDir(), "none"), m.Config); err == nil {
		t.Error("opened a folder that is not there")
	}
	old := fstest.MapFS{configFile: {Data: []byte(config)}, "adapter_model.bin": {}}
	if _, err := Open(old, "old", m.Config); err == nil || !strings.Contains(err.Error(), "pickle") {
		t.Errorf("a pickle: %v", err)
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	m := openBase(t)
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Rank: -1}, "rank"},
		{Config{Targets: []string{"wte"}}, `called "wte"`},
		{Config{Targets: []string{"c_attn", "lm_head"}}, `called "lm_head"`},
	} {
		if _, err := New(m.Config, c.config, 1); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.config, err, c.want)
		}
	}
}

func TestSegmentsRefuseWhatDoesNotFit(t *testing.T) {
	m := openBase(t)
	a, _ := openGolden(t, "default", m.Config)
	other := m.Config
	other.Layers = 1
	foreign, err := New(other, Config{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	r := gpt2.NewRunner(m, nil)
	cache := m.NewCache()
	run := func(s gpt2.Segment) error {
		s.Tokens = []int32{1}
		return r.Logits([]gpt2.Segment{s}, nil, nil)
	}
	if err := run(gpt2.Segment{Adapter: foreign.Net}); err == nil || !strings.Contains(err.Error(), "another shape") {
		t.Errorf("an adapter of another shape: %v", err)
	}
	if err := run(gpt2.Segment{Cache: cache, Adapter: a.Net}); err != nil {
		t.Fatal(err)
	}
	if err := run(gpt2.Segment{Cache: cache}); err == nil || !strings.Contains(err.Error(), "another adapter") {
		t.Errorf("a cache of another adapter: %v", err)
	}
	cache.Reset()
	if err := run(gpt2.Segment{Cache: cache}); err != nil {
		t.Errorf("an emptied cache: %v", err)
	}
	if _, err := r.LossAndGrad([]gpt2.Segment{{Tokens: []int32{1}, Adapter: a.Net}}, []int32{1}, []float32{1}, 1); err == nil {
		t.Error("trained without gradients")
	}
	if _, err := gpt2.NewAdapter(m.Config, nil); err == nil {
		t.Error("an adapter without layers")
	}
	bad := make([]*ops.LowRank, len(m.Config.AdaptableLayers()))
	bad[1] = &ops.LowRank{A: ops.NewParam(make([]float32, 8), 2, 4), B: ops.NewParam(make([]float32, 8), 2, 4)}
	if _, err := gpt2.NewAdapter(m.Config, bad); err == nil || !strings.Contains(err.Error(), "h.0.attn.c_proj") {
		t.Errorf("factors of another shape: %v", err)
	}
}

func TestSet(t *testing.T) {
	m := openBase(t)
	a, _ := openGolden(t, "default", m.Config)
	var s Set
	if err := s.Add("one", a); err != nil {
		t.Fatal(err)
	}
	if err := s.Add("one", a); err == nil {
		t.Error("a name was given twice")
	}
	if err := s.Add("", a); err == nil {
		t.Error("an adapter without a name")
	}
	if _, err := s.Load("two", "nowhere", m.Config); err == nil || len(s.Names()) != 1 {
		t.Errorf("%v, %q", err, s.Names())
	}
	if got, ok := s.Get("one"); !ok || got != a {
		t.Error("not found")
	}
	if !s.Remove("one") || s.Remove("one") {
		t.Error("removed other than once")
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, name := range goldens {
		data, err := os.ReadFile(filepath.Join("testdata", name, configFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"peft_type":"LORA","r":4,"lora_alpha":7.5,"rank_pattern":{"b":1,"a\"":2},"target_modules":["c_fc"]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConfig(data)
		if err != nil {
			return
		}
		text, err := c.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		c.EnsureDefaults()
		if fmt.Sprintf("%+v", c) != fmt.Sprintf("%+v", again) {
			t.Errorf("read %+v, then %+v", c, again)
		}
	})
}
