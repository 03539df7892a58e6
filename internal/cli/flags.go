package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"causerie/models"
	"causerie/pipeline"
)

// modelFlags choose the model that a command talks with.
type modelFlags struct {
	Model   string `short:"m" default:"default" placeholder:"NAME|DIR" help:"A GPT-2 folder in Hugging Face's format, or \"default\", the bundled model."`
	Adapter string `placeholder:"DIR" help:"Adapter to put on the model: a LoRA folder in PEFT's format. One that names its base can be given as --model instead."`
	Threads int    `placeholder:"N" help:"Threads to compute on (default: all). They do not change the result."`
	dtypeFlag
}

// open loads the model. Close the engine with closeEngine.
func (f *modelFlags) open(ctx context.Context) (*pipeline.Engine, error) {
	dtype, err := f.dtype()
	if err != nil {
		return nil, err
	}
	b, err := models.Open(ctx, f.Model, models.Options{Frozen: true, DType: dtype, Adapter: f.Adapter})
	if err != nil {
		return nil, err
	}
	return pipeline.NewEngine(pipeline.FromBundle(b), pipeline.EngineOptions{Threads: f.Threads, DType: dtype, MaxSequences: 1})
}

// closeTime is how long an engine that has nothing left to do may take to end.
const closeTime = 10 * time.Second

// closeEngine ends an engine that has nothing left to do.
func closeEngine(e *pipeline.Engine) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	return e.Close(ctx)
}

// samplingFlags change how a model's reply is picked. What is not given stays
// as the model's folder recommends.
type samplingFlags struct {
	MaxTokens         *int     `placeholder:"N" help:"Most tokens of a reply."`
	Temperature       *float64 `short:"t" placeholder:"T" help:"0 always takes the likeliest token; higher is livelier."`
	TopK              *int     `placeholder:"K" help:"Draw from the K likeliest tokens; 0: from all."`
	TopP              *float64 `placeholder:"P" help:"Draw from the likeliest tokens that reach this probability together."`
	MinP              *float64 `placeholder:"P" help:"Draw from tokens at least this likely, relative to the likeliest."`
	RepetitionPenalty *float64 `placeholder:"X" help:"Above 1: tokens that were there before become less likely."`
	PresencePenalty   *float64 `placeholder:"X" help:"Taken once from the logit of a token that the reply holds."`
	FrequencyPenalty  *float64 `placeholder:"X" help:"Taken for every time that the reply holds a token."`
	NoRepeatNGram     *int     `name:"no-repeat-ngram" placeholder:"N" help:"Let no N tokens in a row occur twice."`
	Stop              []string `sep:"none" placeholder:"TEXT" help:"End the reply before this text. Repeatable."`
	Seed              *uint64  `placeholder:"N" help:"Make the same draws every time."`
}

// apply puts the flags that were given into o.
func (f *samplingFlags) apply(o *pipeline.Options) {
	given(&o.MaxTokens, f.MaxTokens)
	given(&o.Temperature, f.Temperature)
	given(&o.TopK, f.TopK)
	given(&o.TopP, f.TopP)
	given(&o.MinP, f.MinP)
	given(&o.RepetitionPenalty, f.RepetitionPenalty)
	given(&o.PresencePenalty, f.PresencePenalty)
	given(&o.FrequencyPenalty, f.FrequencyPenalty)
	given(&o.NoRepeatNGram, f.NoRepeatNGram)
	o.Stop = append(o.Stop, f.Stop...)
	o.Seed = f.Seed
}

// namedFolder is a flag's NAME=DIR.
type namedFolder struct{ name, dir string }

// UnmarshalText reads the flag.
func (n *namedFolder) UnmarshalText(text []byte) error {
	var ok bool
	n.name, n.dir, ok = strings.Cut(string(text), "=")
	if !ok || n.name == "" || n.dir == "" {
		return fmt.Errorf("expected NAME=DIR, not %q", text)
	}
	return nil
}

// MarshalText writes it again.
func (n namedFolder) MarshalText() ([]byte, error) { return []byte(n.name + "=" + n.dir), nil }

func given[T any](dst, flag *T) {
	if flag != nil {
		*dst = *flag
	}
}

// validate checks the flags before a model is loaded.
func (f *samplingFlags) validate() error {
	if f.MaxTokens != nil && *f.MaxTokens < 1 {
		return usagef("--max-tokens must be at least 1, not %d", *f.MaxTokens)
	}
	var o pipeline.Options
	f.apply(&o)
	return asUsage(o.Validate())
}

// asUsage makes an error about an option one about its flag.
func asUsage(err error) error {
	if bad, ok := errors.AsType[*pipeline.OptionError](err); ok {
		return usagef("--%s %s", strings.ReplaceAll(bad.Field, "_", "-"), bad.Problem)
	}
	return err
}
