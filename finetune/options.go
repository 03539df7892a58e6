package finetune

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"causerie/corpora"
	"causerie/models/gpt2"
	"causerie/models/kernels"
	"causerie/models/lora"
)

// Options says what to train, on what and how. Only Out and Data must be set;
// EnsureDefaults fills in the rest. Where zero would be a sensible choice of
// its own, a negative number stands for "none".
type Options struct {
	// Out is the folder of the run: the result, the training curve and the
	// checkpoints go there. It is made if it is missing.
	Out string
	// Resume goes on from the last checkpoint in Out, if there is one.
	// Without it, a folder with checkpoints is an error, so that no run is
	// overwritten by mistake.
	Resume bool

	// Model is the folder or the name of a GPT-2 to go on from. Empty: a new
	// model of the shape given by Layers, Width, Heads and Context.
	Model string
	// Tokenizer is a folder with a tokenizer for a new model. Empty: one is
	// trained on Data. A model that is gone on from keeps its own.
	Tokenizer string
	Vocab     int // token ids of a tokenizer that is trained; 8192 by default
	Layers    int // of a new model; 6 by default
	Width     int // of a new model; 256 by default
	Heads     int // of a new model; Width/64 or at least 1 by default
	// Context is the longest window that is trained on, and the context
	// length of a new model; 512, or that of the model, by default.
	Context int

	// Data is what is learnt: files (or "starter", the corpus that comes with
	// the program) and their weights in the mix. corpora.ParseSources reads
	// "chats.jsonl.gz*5". Valid is what the model is measured on every
	// EvalEvery steps; nothing is learnt from it.
	Data  []corpora.Source
	Valid []string
	// Format of the files, when it cannot be told by looking at them.
	Format corpora.Format
	// SkipBad counts lines that hold no dialogue instead of failing.
	SkipBad bool
	// Loss is what is learnt of a dialogue: every turn (the default) or only
	// the replies.
	Loss corpora.Loss
	// DPO, if not nil, learns from preferences which replies are better. Data
	// and Valid then hold preferences, and Model what to start from.
	DPO *DPO

	// Steps is how many optimizer steps to take. When it is 0, Epochs passes
	// over the data (3 by default) decide.
	Steps  int
	Epochs float64

	// LoRA, if not nil, trains an adapter of this kind and leaves Model's
	// weights as they are; the result is a PEFT folder. See package lora.
	LoRA *lora.Config
	// Merge also writes the model with the adapter merged in, to Out/merged.
	Merge bool

	// Precision is what the operands of matrix products are rounded to in a
	// step: kernels.Float32, which rounds nothing, or kernels.BFloat16, which is
	// faster on processors with instructions for it (kernels.FastBFloat16) and
	// much slower on others, with the same result. Weights, their updates, sums,
	// attention and norms stay float32, and so do validations.
	Precision kernels.DType

	// Recompute keeps only the input of each block of the model for the way back
	// and computes the rest again: less memory for more time, and the same
	// result. Estimate says how much of both.
	Recompute bool

	// Rows is the budget of tokens of a micro-batch, which holds as many
	// whole windows as fit: what is in memory at once. 2048 by default, and
	// never less than Context.
	Rows int
	// Accumulate is how many micro-batches make a step; 1 by default.
	Accumulate int

	LR          float64 // the highest learning rate; 1e-3, or 1e-4 when going on from a model without LoRA
	MinLR       float64 // the last step's learning rate; LR/10 by default, negative for 0
	Warmup      int     // steps until LR; at most 200 and a tenth of Steps by default, negative for none
	Beta1       float64 // 0.9 by default
	Beta2       float64 // 0.99 by default
	Eps         float64 // 1e-8 by default
	WeightDecay float64 // of matrices; 0.1 by default (with LoRA none), negative for none
	Clip        float64 // longest allowed gradient; 1 by default, negative for no limit
	Seed        uint64  // of a new model's weights and of the order of the data

	// EvalEvery is the number of steps between validations; a twentieth of
	// Steps by default, negative for none but the last.
	EvalEvery int
	// ValidTokens is the most tokens of each file to measure on during the
	// training: the same beginning of the file each time. 0 means all. Without
	// a limit, large files can take longer to measure than the training does.
	ValidTokens int
	// SaveEvery says how often to save a checkpoint besides those at the
	// start, at the end, when the run is stopped and when the validation loss
	// has never been lower. Every ten minutes by default.
	SaveEvery Every
	// Keep is how many checkpoints stay; 2 by default. The best one stays in
	// addition.
	Keep int
	// MaxTime ends the run after this long, with a checkpoint from which it
	// can go on; 0 means no limit. The schedule knows nothing of it.
	MaxTime time.Duration
	// Threads to compute on; all by default. The result does not depend on it.
	Threads int
	// Background lets the run give way to engines that answer requests in the
	// same process: while one has work, the run keeps a tenth of the threads'
	// time. The result does not depend on it.
	Background bool
	// DType is how the result's weights are stored: F32 (the default), F16 or
	// BF16. Checkpoints are always F32.
	DType DType
	// EvalFirst measures the model before the first step, too. The result is
	// then never worse on the validation data than what the run began with.
	EvalFirst bool
	// Patience ends the run after this many validations in a row without a
	// new best; 0 means never.
	Patience int
	// HoldOut, when Valid is empty, is the part of the dialogues that is not
	// learnt but measured on, chosen by their content; 0 means none.
	HoldOut float64
	// Last makes the last weights the result instead of the best ones.
	Last bool
}

// EnsureDefaults fills the fields that were left zero. Steps is known only
// when the data are, so fields that hang on it may stay zero; Train fills them.
func (o *Options) EnsureDefaults() {
	orDefault(&o.Vocab, 8192)
	orDefault(&o.Layers, 6)
	orDefault(&o.Width, 256)
	orDefault(&o.Heads, max(1, o.Width/64))
	if o.Steps == 0 {
		orDefault(&o.Epochs, 3)
	}
	if o.DPO != nil {
		o.ensureDPO()
	}
	orDefault(&o.Rows, max(2048, o.Context))
	orDefault(&o.Accumulate, 1)
	if o.LoRA != nil {
		config := *o.LoRA
		config.EnsureDefaults()
		o.LoRA = &config
		orDefault(&o.LR, 1e-3)
		orDefault(&o.WeightDecay, -1)
	}
	if o.Model == "" {
		orDefault(&o.Context, 512)
		orDefault(&o.LR, 1e-3)
	}
	orDefault(&o.LR, 1e-4)
	orDefault(&o.MinLR, o.LR/10)
	orDefault(&o.Beta1, 0.9)
	orDefault(&o.Beta2, 0.99)
	orDefault(&o.Eps, 1e-8)
	orDefault(&o.WeightDecay, 0.1)
	orDefault(&o.Clip, 1)
	if o.SaveEvery == (Every{}) {
		o.SaveEvery.Time = 10 * time.Minute
	}
	orDefault(&o.Keep, 2)
	orDefault(&o.DType, F32)
	orDefault(&o.Loss, corpora.LossAll)
	o.Data = slices.Clone(o.Data)
	for i := range o.Data {
		orDefault(&o.Data[i].Weight, 1)
	}
	o.ensureStepDefaults()
}

// ensureStepDefaults fills what hangs on the number of steps, once it is known.
func (o *Options) ensureStepDefaults() {
	if o.Steps > 0 {
		orDefault(&o.Warmup, min(200, max(1, o.Steps/10)))
		orDefault(&o.EvalEvery, max(1, o.Steps/20))
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate says what is wrong with options after EnsureDefaults, all of it at
// once.
func (o *Options) Validate() error {
	var errs []error
	fail := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fail(o.Out == "", "no output folder is given")
	fail(len(o.Data) == 0, "no training data are given")
	for _, s := range o.Data {
		fail(s.Path == "", "a training corpus has no path")
		fail(s.Path == corpora.Stdin, "training reads its corpora more than once: give a file, not standard input")
		fail(!(s.Weight > 0) || math.IsInf(s.Weight, 0), "the weight of %s must be positive, not %g", s.Path, s.Weight)
	}
	for _, path := range o.Valid {
		fail(path == "" || path == corpora.Stdin, "validation reads files, not %q", path)
	}
	fail(o.Model != "" && filepath.Clean(o.Model) == filepath.Clean(o.Out), "the trained model would replace %s, from which it starts", o.Model)
	fail(o.Model != "" && o.Tokenizer != "", "a tokenizer is given, but the model %s has its own", o.Model)
	if o.Model == "" {
		cfg := o.shape(o.Vocab)
		cfg.EnsureDefaults()
		if err := cfg.Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	fail(o.Context < 0 || o.Context == 1, "a context of %d tokens holds no dialogue", o.Context)
	fail(o.Rows < max(2, o.Context), "a micro-batch of %d rows does not hold a window of %d tokens", o.Rows, o.Context)
	fail(o.Accumulate < 1, "micro-batches per step must be positive, not %d", o.Accumulate)
	fail(o.Steps < 0, "steps must be positive, not %d", o.Steps)
	fail(o.Steps == 0 && !(o.Epochs > 0), "epochs must be positive, not %g", o.Epochs)
	fail(o.Steps > 0 && o.Warmup > o.Steps, "a warm-up of %d steps is longer than the %d steps of the run", o.Warmup, o.Steps)
	fail(o.ValidTokens < 0, "tokens to validate on must be positive, not %d", o.ValidTokens)
	fail(o.Keep < 1, "at least one checkpoint must be kept, not %d", o.Keep)
	fail(o.Patience < 0, "the patience must be a positive number of validations, not %d", o.Patience)
	fail(!(o.HoldOut >= 0 && o.HoldOut < 1), "the part to hold out must be at least 0 and below 1, not %g", o.HoldOut)
	fail(o.DPO != nil && o.Model == "", "preferences between replies are learnt by a model that can reply: name the one to start from")
	fail(o.DPO != nil && o.Format != corpora.FormatPreferences, "files of the format %s hold no preferences", o.Format)
	fail(o.DPO != nil && o.Loss != corpora.LossReplies, "of preferences only the replies are learnt, not %q", o.Loss)
	fail(o.DPO != nil && o.Precision != kernels.Float32, "preferences are learnt in f32, not in %v", o.Precision)
	fail(o.Precision != kernels.Float32 && o.Precision != kernels.BFloat16, "training is done in f32 or bf16, not in %v", o.Precision)
	fail(o.LoRA != nil && o.Model == "", "an adapter needs a model to adapt")
	fail(o.Merge && o.LoRA == nil, "only an adapter can be merged: without LoRA the result is a whole model")
	fail(o.MaxTime < 0, "the time limit must be positive, not %v", o.MaxTime)
	fail(o.SaveEvery.Steps < 0 || o.SaveEvery.Time < 0, "the time between checkpoints must be positive")
	_, err := ParseDType(string(o.DType))
	_, lossErr := corpora.ParseLoss(string(o.Loss))
	var loraErr error
	if o.LoRA != nil {
		loraErr = o.LoRA.Validate()
	}
	return errors.Join(append(errs, o.validateOptimizer(), err, lossErr, loraErr)...)
}

func (o *Options) validateOptimizer() error {
	var errs []error
	in := func(name string, v, low, high float64) {
		if !(v >= low && v < high) {
			errs = append(errs, fmt.Errorf("%s must be at least %g and below %g, not %g", name, low, high, v))
		}
	}
	positive := func(name string, v, high float64) {
		if !(v > 0 && v < high) {
			errs = append(errs, fmt.Errorf("%s must be positive and below %g, not %g", name, high, v))
		}
	}
	positive("the learning rate", o.LR, 10)
	if max(0, o.MinLR) > o.LR {
		errs = append(errs, fmt.Errorf("the last learning rate, %g, is above the highest, %g", o.MinLR, o.LR))
	}
	if o.DPO != nil {
		positive("beta of the preferences", o.DPO.Beta, 100)
	}
	in("beta1", o.Beta1, 0, 1)
	in("beta2", o.Beta2, 0, 1)
	positive("eps", o.Eps, 1)
	in("the weight decay times the learning rate", max(0, o.WeightDecay)*o.LR, 0, 1)
	return errors.Join(errs...)
}

// shape is the configuration of a new model.
func (o *Options) shape(vocab int) gpt2.Config {
	return gpt2.Config{VocabSize: vocab, Positions: o.Context, Width: o.Width, Heads: o.Heads, Layers: o.Layers}
}

// schedule is the learning rate of the run.
func (o *Options) schedule() Schedule {
	return Schedule{Peak: o.LR, Floor: max(0, o.MinLR), Warmup: max(0, o.Warmup), Steps: o.Steps}
}
