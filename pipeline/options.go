package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"

	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/pipeline/grammar"
	"causerie/pipeline/sampling"
)

// OptionError is an option with a value that makes no sense; Field is its name
// in the JSON API.
type OptionError = sampling.Error

// Limits of what a request may ask for.
const (
	maxStops      = 16   // stop strings
	maxStopLength = 1024 // bytes of one
	maxTop        = 20   // alternatives of a token
)

// Options say how a reply is written. Start from [Engine.ChatDefaults], which
// are the model's own, and change what should differ. The zero value is a greedy
// reply of at most 80 tokens.
type Options struct {
	sampling.Options

	// MaxTokens is the most tokens the reply may have; 0 means 80.
	MaxTokens int
	// MinTokens is how many tokens the reply has at least: what would end it
	// earlier cannot be picked.
	MinTokens int
	// Seed fixes the random draws. Without one every request draws differently.
	Seed *uint64
	// Stream numbers the sequences of random numbers of one seed: the turns of
	// a conversation, or several replies to one prompt.
	Stream uint64
	// Stop lists strings that end the reply when they come up in it. They are
	// not part of it.
	Stop []string
	// Grammar holds the reply to a form, such as JSON of a schema. Every token is
	// drawn among those that the form allows, with the probabilities that the
	// other options give these. The reply ends when the form is complete; when
	// MaxTokens leaves room for a whole one, it is whole. The rules that put a
	// reply right and NoRepeatNGram, which might forbid what the form asks for,
	// are not applied.
	Grammar *grammar.Grammar
	// IgnoreEnd goes on after the model has ended its text, up to MaxTokens.
	IgnoreEnd bool
	// WholeSentences drops a last half sentence when MaxTokens cut the reply,
	// unless that is all there is. The pieces of a stream are then sentences:
	// what might have to be dropped is not shown. With a Grammar, MaxTokens are
	// counted from the fewest that make a whole reply.
	WholeSentences bool
	// Adapter is what the prompt and the reply go through besides the model
	// (see lora.Set); nil: the model's own adapter, if it has one. Requests with
	// different adapters share the engine, and its batches.
	Adapter *gpt2.Adapter
	// LogProbs asks for the log-probability of every token of the reply.
	LogProbs bool
	// TopLogProbs is how many of the most likely tokens are given beside each,
	// from 0 to 20.
	TopLogProbs int
	// PromptLogProbs asks for those of the prompt's tokens too, which then has
	// to be computed whole.
	PromptLogProbs bool
	// Raw leaves the text as the model wrote it: spaces are not put right, and
	// in a chat role names and spelled-out turn markers stay.
	Raw bool
}

// defaultMaxTokens is a long reply in small talk.
const defaultMaxTokens = 80

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	o.Options.EnsureDefaults()
	if o.MaxTokens == 0 {
		o.MaxTokens = defaultMaxTokens
	}
}

// Validate returns an *[OptionError] for the first field out of its limits.
func (o *Options) Validate() error {
	if err := o.Options.Validate(); err != nil {
		return err
	}
	switch {
	case o.MaxTokens < 0:
		return &OptionError{Field: "max_tokens", Problem: fmt.Sprintf("must be at least 1, not %d", o.MaxTokens)}
	case o.MinTokens < 0:
		return &OptionError{Field: "min_tokens", Problem: fmt.Sprintf("must be at least 0, not %d", o.MinTokens)}
	case o.TopLogProbs < 0 || o.TopLogProbs > maxTop:
		return &OptionError{Field: "top_logprobs", Problem: fmt.Sprintf("must lie between 0 and %d, not %d", maxTop, o.TopLogProbs)}
	case len(o.Stop) > maxStops:
		return &OptionError{Field: "stop", Problem: fmt.Sprintf("may hold %d strings at most, not %d", maxStops, len(o.Stop))}
	}
	for _, s := range o.Stop {
		switch {
		case s == "":
			return &OptionError{Field: "stop", Problem: "holds an empty string, which would end every reply at once"}
		case len(s) > maxStopLength:
			return &OptionError{Field: "stop", Problem: fmt.Sprintf("holds a string of %d bytes; %d are allowed", len(s), maxStopLength)}
		case !utf8.ValidString(s):
			return &OptionError{Field: "stop", Problem: "holds a string that is not valid UTF-8"}
		}
	}
	return nil
}

// validateFor also checks what depends on the model.
func (o *Options) validateFor(vocab int) error {
	if err := o.Validate(); err != nil {
		return err
	}
	for id := range o.LogitBias {
		if int(id) >= vocab {
			return &OptionError{Field: "logit_bias", Problem: fmt.Sprintf("has the token id %d, but the vocabulary ends at %d", id, vocab-1)}
		}
	}
	return nil
}

// ChatDefaults are the options for a conversation with a model whose folder
// recommends none: lively, but on the subject.
func ChatDefaults() Options {
	return Options{
		Options:        sampling.Options{Temperature: 0.5, TopP: 0.9, RepetitionPenalty: 1},
		MaxTokens:      defaultMaxTokens,
		MinTokens:      1,
		WholeSentences: true,
	}
}

// GenerateDefaults are the options for continuing a text with a model whose
// folder recommends none: a draw without penalties.
func GenerateDefaults() Options {
	return Options{
		Options:   sampling.Options{Temperature: 0.7, TopP: 0.9, RepetitionPenalty: 1},
		MaxTokens: defaultMaxTokens,
	}
}

// Recommended puts what a generation_config.json says in the place of the
// options that it names.
func (o Options) Recommended(g hf.Generation) Options {
	set(&o.Temperature, g.Temperature)
	set(&o.TopK, g.TopK)
	set(&o.TopP, g.TopP)
	set(&o.MinP, g.MinP)
	set(&o.RepetitionPenalty, g.RepetitionPenalty)
	set(&o.NoRepeatNGram, g.NoRepeatNgramSize)
	set(&o.MaxTokens, g.MaxNewTokens)
	if g.DoSample != nil && !*g.DoSample {
		o.Temperature = 0
	}
	return o
}

func set[T any](dst, value *T) {
	if value != nil {
		*dst = *value
	}
}

// clone returns options that share no memory with o.
func (o Options) clone() Options {
	o.LogitBias = maps.Clone(o.LogitBias)
	o.Banned, o.Exempt, o.Stop = slices.Clone(o.Banned), slices.Clone(o.Exempt), slices.Clone(o.Stop)
	return o
}
