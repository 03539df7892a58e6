package finetune

import (
	"context"
	"errors"
	"fmt"

	"causerie/corpora"
	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// EvalOptions says what to measure on what.
type EvalOptions struct {
	Model   string         // the folder or the name of a GPT-2 with its tokenizer
	Data    []string       // corpora; a pattern of paths or "starter" stands for several
	Format  corpora.Format // of the files, when it cannot be told by looking at them
	SkipBad bool           // count lines that hold no dialogue instead of failing
	Loss    corpora.Loss   // what is measured: every turn (the default) or only the replies
	Context int            // of the windows; the model's by default
	Rows    int            // tokens in a batch; 2048 by default
	Threads int            // all by default; the result does not depend on it
	// Progress, if not nil, is called now and then with the number of tokens
	// measured and how many there are.
	Progress func(done, all int)
}

// Validate says what makes the options useless.
func (o *EvalOptions) Validate() error {
	switch {
	case o.Model == "":
		return errors.New("no model is given")
	case len(o.Data) == 0:
		return errors.New("no data are given")
	case o.Rows < 0:
		return fmt.Errorf("rows of a batch must be positive, not %d", o.Rows)
	}
	return nil
}

// Report is what Evaluate found: the score over all files, and file by file.
type Report struct {
	Model string `json:"model"`
	Score
	Files      []Score `json:"files"`
	SkippedBad int     `json:"skipped_bad,omitempty"`
}

// Evaluate measures how well a model predicts dialogues it has not seen.
//
// Every dialogue is read as in training, with the template that fits the
// model's vocabulary and cut into windows no longer than its context, so a
// text's first words are always predicted from little. Loss and perplexity are
// over all predicted tokens, the markers between turns included; bits per byte
// are over the text alone.
func Evaluate(ctx context.Context, o EvalOptions) (Report, error) {
	if err := o.Validate(); err != nil {
		return Report{}, err
	}
	f, err := openModel(o.Model)
	if err != nil {
		return Report{}, err
	}
	positions := f.config.Model.Positions
	orDefault(&o.Context, positions)
	if o.Context > positions {
		return Report{}, fmt.Errorf("a context of %d tokens is asked for, %s has %d", o.Context, o.Model, positions)
	}
	orDefault(&o.Rows, 2048)
	list, err := loadHeldOut(ctx, f, o.Data, corpora.LoadOptions{
		Read:   corpora.Options{Format: o.Format, SkipBad: o.SkipBad},
		Encode: corpora.EncodeOptions{Context: o.Context, Loss: o.Loss},
	})
	if err != nil {
		return Report{}, err
	}
	pool := kernels.NewPool(o.Threads)
	defer pool.Close()
	m := meter{network: gpt2.NewRunner(f.model, pool), rows: o.Rows}
	return o.report(ctx, m, list)
}

// report measures file by file.
func (o *EvalOptions) report(ctx context.Context, m meter, list []heldOut) (Report, error) {
	r := Report{Model: o.Model}
	all, done := 0, 0
	for _, h := range list {
		all += h.data.Total().Learnt
	}
	var total tally
	for _, h := range list {
		sum, err := m.measure(ctx, h, func(tokens int) {
			if o.Progress != nil {
				o.Progress(done+tokens, all)
			}
		})
		if err != nil {
			return Report{}, err
		}
		done += sum.tokens
		total.merge(sum)
		r.Files = append(r.Files, sum.score(h.name))
		r.SkippedBad += h.data.Total().Skipped
	}
	r.Score = total.score("")
	return r, nil
}
