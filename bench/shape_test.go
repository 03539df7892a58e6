package bench

import (
	"strings"
	"testing"

	"causerie/models/gpt2"
)

func TestParseShape(t *testing.T) {
	for text, want := range map[string]gpt2.Config{
		"124M":             {Width: 768, Layers: 12, Heads: 12, VocabSize: 50257, Positions: 1024, Inner: 3072, Eps: 1e-5},
		"64x3x4x1000":      {Width: 64, Layers: 3, Heads: 4, VocabSize: 1000, Positions: 1024, Inner: 256, Eps: 1e-5},
		"64x3x4x1000x2048": {Width: 64, Layers: 3, Heads: 4, VocabSize: 1000, Positions: 2048, Inner: 256, Eps: 1e-5},
	} {
		got, err := ParseShape(text)
		if err != nil || got != want {
			t.Errorf("ParseShape(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for text, complaint := range map[string]string{
		"":                "not one of",
		"7B":              "not one of",
		"64x3x4":          "not one of",
		"64x3x4x1000x9x9": "not one of",
		"64xthreex4x1000": `"three" is not a number`,
		"64x0x4x1000":     "n_layer",
		"64x3x5x1000":     "multiple",
		"64x3x4x1000x8":   "context",
		"64x3x4x10":       "vocabulary",
	} {
		if _, err := ParseShape(text); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("ParseShape(%q): error %v, want one with %q", text, err, complaint)
		}
	}
}

// TestNamedShapes counts their parameters, as GPT-2's names do.
func TestNamedShapes(t *testing.T) {
	for name, want := range map[string]float64{"124M": 124.4e6, "355M": 354.8e6, "774M": 774.0e6, "1558M": 1557.6e6} {
		c, err := ParseShape(name)
		if err != nil {
			t.Fatal(err)
		}
		l := load{config: c, cacheValue: 4}
		vectors := float64(c.Positions*c.Width + 2*c.Width + c.Layers*(4*c.Width+9*c.Width+c.Inner-c.Width+c.Width))
		if got := l.blocks() + l.head() + vectors; got < want*0.999 || got > want*1.001 {
			t.Errorf("%s has %.1fM parameters, want %.1fM", name, got/1e6, want/1e6)
		}
	}
}
