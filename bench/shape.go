package bench

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"causerie/models/gpt2"
)

// shapes are the ones that have a name: GPT-2's sizes (Radford et al. 2019,
// table 2) and that of a small dialogue model.
var shapes = map[string]gpt2.Config{
	"8M":    {Width: 256, Layers: 6, Heads: 4, VocabSize: 12000, Positions: 512},
	"124M":  {Width: 768, Layers: 12, Heads: 12, VocabSize: 50257, Positions: 1024},
	"355M":  {Width: 1024, Layers: 24, Heads: 16, VocabSize: 50257, Positions: 1024},
	"774M":  {Width: 1280, Layers: 36, Heads: 20, VocabSize: 50257, Positions: 1024},
	"1558M": {Width: 1600, Layers: 48, Heads: 25, VocabSize: 50257, Positions: 1024},
}

// ParseShape reads the shape of a network: a name such as "124M", or
// WIDTHxLAYERSxHEADSxVOCABULARY with, optionally, xCONTEXT (1024 without).
func ParseShape(text string) (gpt2.Config, error) {
	c, named := shapes[text]
	if !named {
		parts := strings.Split(text, "x")
		if len(parts) != 4 && len(parts) != 5 {
			return c, fmt.Errorf("shape %q: not one of %s, nor WIDTHxLAYERSxHEADSxVOCABULARY[xCONTEXT]", text, strings.Join(shapeNames(), ", "))
		}
		c.Positions = 1024
		fields := []*int{&c.Width, &c.Layers, &c.Heads, &c.VocabSize, &c.Positions}
		for i, part := range parts {
			n, err := strconv.Atoi(part)
			if err != nil {
				return c, fmt.Errorf("shape %q: %q is not a number", text, part)
			}
			*fields[i] = n
		}
	}
	c.EnsureDefaults()
	if err := c.Validate(); err != nil {
		return c, fmt.Errorf("shape %q: %w", text, err)
	}
	if c.Positions < minContext || c.VocabSize < minVocabulary {
		return c, fmt.Errorf("shape %q: a context of at least %d tokens and a vocabulary of at least %d are needed", text, minContext, minVocabulary)
	}
	return c, nil
}

// The least a network must have for prompts that differ to be made for it.
const (
	minContext    = 16
	minVocabulary = 64
)

// shapeNames are the named shapes, the small ones first.
func shapeNames() []string {
	return slices.SortedFunc(maps.Keys(shapes), func(a, b string) int { return shapes[a].Width - shapes[b].Width })
}
