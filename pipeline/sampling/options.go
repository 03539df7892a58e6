package sampling

import (
	"fmt"
	"math"
)

// Options choose how the next token is picked. The zero value is greedy: the
// most likely token, always. Names in errors are those of the JSON API.
type Options struct {
	// Temperature divides the logits. 0 (anything below 1e-5) takes the most
	// likely token and makes the truncations below meaningless.
	Temperature float64
	// TopK keeps the k most likely tokens; 0 keeps all.
	TopK int
	// TopP keeps the most likely tokens that together reach this probability;
	// 0 and 1 keep all.
	TopP float64
	// MinP keeps tokens at least this likely relative to the most likely one;
	// 0 keeps all.
	MinP float64
	// RepetitionPenalty > 1 makes tokens of the prompt and the reply so far
	// less likely; 0 and 1 change nothing.
	RepetitionPenalty float64
	// PresencePenalty is subtracted once from the logit of every token that
	// the reply already holds.
	PresencePenalty float64
	// FrequencyPenalty is subtracted once for every time it does.
	FrequencyPenalty float64
	// NoRepeatNGram n > 0 lets no n tokens in a row occur twice in prompt and
	// reply.
	NoRepeatNGram int
	// LogitBias is added to the logits of these ids.
	LogitBias map[int32]float64
	// Banned ids are never picked.
	Banned []int32
	// Exempt ids are left alone by the repetition, presence, frequency and
	// n-gram rules. Turn markers belong here: a dialogue repeats them, and a
	// reply that may not end is no better for it.
	Exempt []int32
}

// greedyBelow is the temperature under which dividing by it says no more than
// taking the best token does, and could overflow.
const greedyBelow = 1e-5

// Greedy reports whether these options always take the most likely token.
func (o *Options) Greedy() bool { return o.Temperature < greedyBelow }

// EnsureDefaults fills the fields whose zero value stands for a neutral one.
func (o *Options) EnsureDefaults() {
	if o.TopP == 0 {
		o.TopP = 1
	}
	if o.RepetitionPenalty == 0 {
		o.RepetitionPenalty = 1
	}
}

// Error is an option with a value that makes no sense.
type Error struct {
	Field   string // its name in the JSON API, such as "top_p"
	Problem string // what is wrong, such as "must lie between 0 and 1, not 7"
}

// Error names the field and the problem.
func (e *Error) Error() string { return e.Field + " " + e.Problem }

// Validate returns an *[Error] for the first field out of its limits.
func (o *Options) Validate() error {
	for _, f := range []struct {
		name     string
		value    float64
		min, max float64
	}{
		{"temperature", o.Temperature, 0, 100},
		{"top_k", float64(o.TopK), 0, math.MaxInt32},
		{"top_p", o.TopP, 0, 1},
		{"min_p", o.MinP, 0, 1},
		{"presence_penalty", o.PresencePenalty, -100, 100},
		{"frequency_penalty", o.FrequencyPenalty, -100, 100},
		{"no_repeat_ngram", float64(o.NoRepeatNGram), 0, math.MaxInt32},
	} {
		if !(f.value >= f.min && f.value <= f.max) { // also catches NaN
			return &Error{f.name, between(f.min, f.max, f.value)}
		}
	}
	// 0 stands for "none"; anything else must be able to divide a logit.
	if p := o.RepetitionPenalty; p != 0 && !(p >= 0.01 && p <= 100) {
		return &Error{"repetition_penalty", between(0.01, 100, p)}
	}
	for id, b := range o.LogitBias {
		if id < 0 {
			return &Error{"logit_bias", fmt.Sprintf("has the token id %d: ids start at 0", id)}
		}
		if !(b >= -1000 && b <= 1000) {
			return &Error{"logit_bias", fmt.Sprintf("of token %d %s", id, between(-1000, 1000, b))}
		}
	}
	return nil
}

func between(low, high, value float64) string {
	if high == math.MaxInt32 {
		return fmt.Sprintf("must be at least %g, not %g", low, value)
	}
	return fmt.Sprintf("must lie between %g and %g, not %g", low, high, value)
}
