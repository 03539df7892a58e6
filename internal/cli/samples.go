package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/models/dialogue"
	"causerie/models/kernels"
	"causerie/pipeline"
)

// sample is what a model replies before a training and after it.
type sample struct {
	Prompt string `json:"prompt"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// asking talks with the model that a training begins with and with the one
// that comes of it.
type asking struct {
	base    *pipeline.Engine
	prompts []string
	threads int
	seed    uint64
}

// prepare opens the base, checks the data with its tokenizer, settles what
// hangs on them, and chooses what to say to the model. The base is closed by
// before.
func (c *FinetuneCmd) prepare(ctx context.Context, o *finetune.Options, report *reporter) (_ *asking, err error) {
	a := &asking{threads: c.Threads, seed: c.Seed, prompts: c.Ask}
	if a.base, err = a.open(ctx, c.Base); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil || c.Check {
			err = errors.Join(err, closeEngine(a.base))
		}
	}()
	found, err := c.check(ctx, o, a.base.Model(), report)
	if err != nil {
		return nil, err
	}
	if err := found.Err(c.SkipBad); err != nil {
		return nil, err
	}
	if len(a.prompts) == 0 {
		a.prompts, err = c.openings(ctx, o)
	}
	return a, err
}

// check looks through the data and at what the training will take.
func (c *FinetuneCmd) check(ctx context.Context, o *finetune.Options, m *pipeline.Model, report *reporter) (corpora.Findings, error) {
	if m.Tokenizer == nil {
		return corpora.Findings{}, fmt.Errorf("%s: %w: it cannot learn from text", c.Base, pipeline.ErrNoTokenizer)
	}
	longest := m.Context()
	if o.Context > 0 {
		longest = min(longest, o.Context)
	}
	found, err := corpora.Validate(ctx, o.Data, o.Valid, corpora.ValidateOptions{
		Read: corpora.Options{Format: o.Format}, Tokenizer: m.Tokenizer, Template: m.Template,
		Encode: corpora.EncodeOptions{Context: longest, Loss: o.Loss, Preferences: o.DPO != nil},
	})
	if err != nil {
		return found, err
	}
	if o.Context == 0 {
		// Shorter windows are the same, and smaller batches can hold them.
		for _, f := range slices.Concat(found.Train, found.Valid) {
			o.Context = max(o.Context, f.LongestRow)
		}
		o.Context = max(2, o.Context)
	}
	o.Rows = max(o.Rows, o.Context)
	if o.DPO != nil {
		o.Rows = max(o.Rows, 2*o.Context) // a pair is not torn apart
	}
	if o.LR == 0 {
		o.LR = o.UsualLR(m.Net.Config.Width)
	}
	pool := kernels.NewPool(c.Threads)
	defer pool.Close()
	estimate := o.Estimate(m.Net.Config, found, kernels.MeasurePeak(pool, kernels.Float32))
	if err := report.checked(found, estimate, o.Recompute); err != nil {
		return found, err
	}
	if there := finetune.AvailableMemory(); there > 0 && estimate.Bytes > there {
		return found, fmt.Errorf("the training would take about %.1f GB of memory, and %.1f GB are left: "+
			"give fewer --rows (now %d), a shorter --context (now %d), --recompute, or --lora 8", gigabytes(estimate.Bytes), gigabytes(there), o.Rows, o.Context)
	}
	return found, nil
}

func gigabytes(n int64) float64 { return float64(n) / 1e9 }

// openings are how some of the dialogues begin: of those that are not learnt,
// if there are any, taken evenly.
func (c *FinetuneCmd) openings(ctx context.Context, o *finetune.Options) ([]string, error) {
	read := corpora.Options{Format: o.Format, SkipBad: o.SkipBad}
	var paths []string
	for _, s := range o.Data {
		paths = append(paths, s.Path)
	}
	keep := func(corpora.Dialogue) bool { return true }
	switch {
	case len(o.Valid) > 0:
		paths = nil
		for _, v := range o.Valid {
			files, err := corpora.ExpandPath(v)
			if err != nil {
				return nil, err
			}
			paths = append(paths, files...)
		}
	default:
		held, err := corpora.ChooseHoldOut(ctx, paths, read, o.HoldOut, o.Seed)
		if err != nil {
			return nil, err
		}
		if held.Any() {
			keep = held.Held
		}
	}
	all, err := firstTurns(ctx, paths, read, keep)
	var some []string
	for i := range min(c.Samples, len(all)) {
		some = append(some, all[i*len(all)/min(c.Samples, len(all))])
	}
	return some, err
}

// firstTurns lists the first turns of the user, each once.
func firstTurns(ctx context.Context, paths []string, o corpora.Options, keep func(corpora.Dialogue) bool) (list []string, err error) {
	seen := map[string]bool{}
	for _, path := range paths {
		r, err := corpora.Open(path, o)
		if err != nil {
			return nil, err
		}
		for d, err := range r.All() {
			if err := errors.Join(err, ctx.Err()); err != nil {
				return nil, errors.Join(err, r.Close())
			}
			i := slices.IndexFunc(d.Turns, func(t dialogue.Turn) bool { return t.Role == dialogue.RoleUser })
			if i >= 0 && keep(d) && !seen[d.Turns[i].Text] {
				seen[d.Turns[i].Text] = true
				list = append(list, d.Turns[i].Text)
			}
		}
		if err := r.Close(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (a *asking) open(ctx context.Context, model string) (*pipeline.Engine, error) {
	return pipeline.Open(ctx, model, pipeline.EngineOptions{Threads: a.threads, MaxSequences: 1})
}

// before asks the base and closes it.
func (a *asking) before(ctx context.Context) (samples []sample, err error) {
	defer func() { err = errors.Join(err, closeEngine(a.base)); a.base = nil }()
	for _, prompt := range a.prompts {
		reply, err := a.ask(ctx, a.base, prompt)
		if err != nil {
			return nil, err
		}
		samples = append(samples, sample{Prompt: prompt, Before: reply})
	}
	return samples, nil
}

// after asks the result.
func (a *asking) after(ctx context.Context, model string, samples []sample) (err error) {
	if len(samples) == 0 {
		return nil
	}
	engine, err := a.open(ctx, model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeEngine(engine)) }()
	for i := range samples {
		if samples[i].After, err = a.ask(ctx, engine, samples[i].Prompt); err != nil {
			return err
		}
	}
	return nil
}

// ask begins a conversation and returns the reply.
func (a *asking) ask(ctx context.Context, e *pipeline.Engine, prompt string) (string, error) {
	o := e.ChatDefaults()
	o.Seed = &a.seed
	reply, err := pipeline.NewSession(e, "", o).Say(ctx, prompt, func(pipeline.Piece) error { return nil })
	if isReplyError(err) {
		return "(" + err.Error() + ")", nil
	}
	return oneLine.Replace(reply.Text), err
}
