package finetune

import (
	"context"
	"errors"
	"fmt"
	"time"

	"causerie/corpora"
	"causerie/models"
	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// EvalOptions says what to measure on what.
type EvalOptions struct {
	Model   string         // the folder or the name of a GPT-2 with its tokenizer
	DType   *kernels.DType // of its weights; nil: as it would be served, see models.ServingDType
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
	Model           string  `json:"model"`
	DType           string  `json:"dtype"`        // of the weights: f32, bf16 or int8
	WeightBytes     int64   `json:"weight_bytes"` // that they take in memory
	TokensPerSecond float64 `json:"tokens_per_second"`
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
	reports, err := Compare(ctx, o, []*kernels.DType{o.DType})
	if err != nil {
		return Report{}, err
	}
	return reports[0], nil
}

// Compare measures one model on the same data with its weights in one dtype
// after another; nil is the one it would be served in.
func Compare(ctx context.Context, o EvalOptions, dtypes []*kernels.DType) ([]Report, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	orDefault(&o.Rows, 2048)
	pool := kernels.NewPool(o.Threads)
	defer pool.Close()
	e := evaluation{o: o, pool: pool, runs: len(dtypes)}
	var reports []Report
	for _, dtype := range dtypes {
		r, err := e.run(ctx, dtype)
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// evaluation is the work of Compare.
type evaluation struct {
	o         EvalOptions
	pool      *kernels.Pool
	data      []heldOut // read with the first model's tokenizer
	runs      int       // how often they are measured
	done, all int       // tokens of all runs
}

// run measures the model in one dtype.
func (e *evaluation) run(ctx context.Context, dtype *kernels.DType) (Report, error) {
	b, err := models.Open(ctx, e.o.Model, models.Options{Frozen: true, DType: dtype})
	if err != nil {
		return Report{}, err
	}
	if e.data == nil {
		if err := e.load(ctx, b); err != nil {
			return Report{}, err
		}
	}
	m := meter{objective: &supervised{network: gpt2.NewRunner(b.Net, e.pool)}, rows: e.o.Rows}
	r := Report{Model: e.o.Model, DType: b.Net.DType().String(), WeightBytes: b.Net.WeightBytes()}
	err = e.measure(ctx, m, &r)
	return r, err
}

// load reads the data.
func (e *evaluation) load(ctx context.Context, b *models.Bundle) (err error) {
	if b.Tokenizer == nil {
		return fmt.Errorf("%s: the folder has no tokenizer, with which to read the data", e.o.Model)
	}
	positions := b.Net.Config.Positions
	orDefault(&e.o.Context, positions)
	if e.o.Context > positions {
		return fmt.Errorf("a context of %d tokens is asked for, %s has %d", e.o.Context, e.o.Model, positions)
	}
	e.data, err = loadHeldOut(ctx, b.Tokenizer, b.Template, e.o.Data, corpora.LoadOptions{
		Read:   corpora.Options{Format: e.o.Format, SkipBad: e.o.SkipBad},
		Encode: corpora.EncodeOptions{Context: e.o.Context, Loss: e.o.Loss},
	})
	for _, h := range e.data {
		e.all += e.runs * h.data.Total().Learnt
	}
	return err
}

// measure goes file by file.
func (e *evaluation) measure(ctx context.Context, m meter, r *Report) error {
	var total tally
	start := time.Now()
	for _, h := range e.data {
		sum, err := m.measure(ctx, h, func(tokens int) {
			if e.o.Progress != nil {
				e.o.Progress(e.done+tokens, e.all)
			}
		})
		if err != nil {
			return err
		}
		e.done += sum.tokens
		total.merge(sum)
		r.Files = append(r.Files, sum.score(h.name))
		r.SkippedBad += h.data.Total().Skipped
	}
	r.TokensPerSecond = float64(total.rows) / time.Since(start).Seconds()
	r.Score = total.score("")
	return nil
}
