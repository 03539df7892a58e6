package lora

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"causerie/models/gpt2"
)

// Config says which layers an adapter changes and how. The zero value of a
// field means PEFT's default for GPT-2.
type Config struct {
	Rank    int      // of the factors; 8 by default
	Alpha   float64  // the product is scaled by Alpha/Rank; 8 by default
	Dropout float64  // of what the factors read, in training; none by default
	Targets []string // layers by the end of their name; c_attn by default, AllLinear for all
	// RankStabilized scales by Alpha/√Rank instead (Kalajdzievski 2023).
	RankStabilized bool

	// Ranks and Alphas are exceptions; the first that fits a layer holds.
	Ranks, Alphas []Exception

	// Base names the model that the adapter belongs to: a folder, or a name
	// that the opener knows. It may be empty.
	Base string
}

// Exception gives another rank or alpha to the layers whose name ends, from a
// dot on, in a match of a regular expression.
type Exception struct {
	Pattern string
	Value   float64
}

// AllLinear as a target stands for every linear layer of the decoder blocks.
const AllLinear = "all-linear"

// EnsureDefaults fills the fields that may be left zero.
func (c *Config) EnsureDefaults() {
	if c.Rank == 0 {
		c.Rank = 8
	}
	if c.Alpha == 0 {
		c.Alpha = 8
	}
	if len(c.Targets) == 0 {
		c.Targets = []string{"c_attn"}
	}
	if slices.Contains(c.Targets, AllLinear) {
		c.Targets = []string{"c_attn", "c_fc", "c_proj"}
	}
}

// maxRank is more than any sensible adapter has.
const maxRank = 1 << 14

// Validate says what is wrong with a configuration after EnsureDefaults, all
// of it at once.
func (c Config) Validate() error {
	var errs []error
	fail := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fail(c.Rank < 1 || c.Rank > maxRank, "the rank must lie between 1 and %d, not %d", maxRank, c.Rank)
	fail(!(c.Alpha > 0) || math.IsInf(c.Alpha, 0), "alpha must be positive, not %g", c.Alpha)
	fail(!(c.Dropout >= 0 && c.Dropout < 1), "the dropout must be at least 0 and below 1, not %g", c.Dropout)
	for _, e := range c.Ranks {
		fail(!(e.Value >= 1 && e.Value <= maxRank) || e.Value != math.Trunc(e.Value),
			"the rank of %q must be a whole number between 1 and %d, not %g", e.Pattern, maxRank, e.Value)
	}
	for _, e := range c.Alphas {
		fail(!(e.Value > 0) || math.IsInf(e.Value, 0), "alpha of %q must be positive, not %g", e.Pattern, e.Value)
	}
	_, err := c.settings()
	return errors.Join(append(errs, err)...)
}

// layerSettings finds rank and scale of a layer.
type layerSettings struct {
	config        Config
	ranks, alphas []*regexp.Regexp // of the exceptions
}

func (c Config) settings() (*layerSettings, error) {
	s := &layerSettings{config: c}
	var errs []error
	compile := func(list []Exception) (compiled []*regexp.Regexp) {
		for _, e := range list {
			r, err := regexp.Compile(`^(?:.*\.)?(?:` + e.Pattern + `)$`)
			if err != nil {
				errs = append(errs, fmt.Errorf("the pattern %q is no regular expression that is understood here: %w", e.Pattern, err))
			}
			compiled = append(compiled, r)
		}
		return compiled
	}
	s.ranks, s.alphas = compile(c.Ranks), compile(c.Alphas)
	return s, errors.Join(errs...)
}

// of is the rank of a layer and what the product of its factors is scaled by.
// The name is the module's in transformers: "transformer.h.0.attn.c_attn".
func (s *layerSettings) of(module string) (rank int, scale float32) {
	rank = int(exceptional(float64(s.config.Rank), s.config.Ranks, s.ranks, module))
	alpha := exceptional(s.config.Alpha, s.config.Alphas, s.alphas, module)
	if s.config.RankStabilized {
		return rank, float32(alpha / math.Sqrt(float64(rank)))
	}
	return rank, float32(alpha / float64(rank))
}

// exceptional is the value of the first exception that fits, or the usual one.
func exceptional(usual float64, list []Exception, patterns []*regexp.Regexp, module string) float64 {
	for i, p := range patterns {
		if p.MatchString(module) {
			return list[i].Value
		}
	}
	return usual
}

// modulePrefix is what transformers puts before the names of GPT-2's layers.
const modulePrefix = "transformer."

// targeted reports whether the configuration chooses a layer. As in PEFT, a
// target is the whole name of a module or its end, from a dot on.
func (c Config) targeted(l gpt2.Layer) bool {
	module := modulePrefix + l.Name
	return slices.ContainsFunc(c.Targets, func(t string) bool {
		return module == t || strings.HasSuffix(module, "."+t)
	})
}

// checkTargets names targets that no layer of the model answers to.
func (c Config) checkTargets(layers []gpt2.Layer) error {
	var errs []error
	for _, t := range c.Targets {
		only := Config{Targets: []string{t}}
		if !slices.ContainsFunc(layers, only.targeted) {
			errs = append(errs, fmt.Errorf("no layer that an adapter can change is called %q: GPT-2 has c_attn, attn.c_proj, c_fc and mlp.c_proj (c_proj is both), and %q for all", t, AllLinear))
		}
	}
	return errors.Join(errs...)
}
