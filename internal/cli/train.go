package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"causerie/corpora"
	"causerie/finetune"
)

// TrainCmd is `causerie train`.
type TrainCmd struct {
	Out    string   `required:"" placeholder:"DIR" help:"Folder for the trained model, its checkpoints and its training curve."`
	Data   []string `required:"" short:"d" sep:"none" placeholder:"FILE" help:"Dialogues to learn from: a file, a pattern, or \"starter\" for the bundled corpus; FILE*5 counts five times. Repeatable."`
	Valid  []string `short:"v" sep:"none" placeholder:"FILE" help:"Held-out dialogues to measure on. Repeatable."`
	Resume bool     `help:"Go on from the last checkpoint in --out, if there is one."`

	Model     string `short:"m" placeholder:"DIR" xor:"start" help:"GPT-2 folder to go on from (\"default\" is the bundled model); without it a new model is trained from scratch."`
	Tokenizer string `placeholder:"DIR" xor:"start" help:"Folder with a tokenizer for the new model; by default one is trained on the data."`
	Vocab     int    `default:"8192" help:"Vocabulary of a new tokenizer."`
	Layers    int    `default:"6" help:"Decoder blocks of a new model."`
	Width     int    `default:"256" help:"Width of a new model."`
	Heads     int    `placeholder:"N" help:"Attention heads of a new model (default: one for each 64 of the width)."`
	Context   int    `placeholder:"TOKENS" help:"Longest window in tokens, and the context length of a new model (default: 512, or the model's)."`

	Steps      int     `placeholder:"N" help:"Optimizer steps to take (default: as many as --epochs needs)."`
	Epochs     float64 `default:"3" help:"Passes over the data, when --steps is not given."`
	Rows       int     `default:"2048" help:"Tokens of a micro-batch, which holds as many whole dialogues as fit."`
	Accumulate int     `default:"1" help:"Micro-batches whose gradients make one step."`
	Precision  string  `default:"f32" enum:"f32,bf16" help:"What products round their operands to while training (${enum}): bf16 is faster where the processor has instructions for it, and much slower elsewhere; weights and sums stay f32."`
	Recompute  bool    `help:"Keep less of each block of the model for the way back and compute it again: less memory, more time, the same result."`
	Loss       string  `default:"all" enum:"all,replies" help:"What is learnt: every turn (all) or only the assistant's (replies)."`

	LR          float64  `name:"lr" placeholder:"RATE" help:"Highest learning rate (default: 1e-3 from scratch, 1e-4 from a model)."`
	MinLR       *float64 `name:"min-lr" placeholder:"RATE" help:"Learning rate of the last step (default: a tenth of --lr)."`
	Warmup      *int     `placeholder:"STEPS" help:"Steps until the highest learning rate (default: a tenth of all, at most 200)."`
	Beta1       float64  `name:"beta1" default:"0.9" help:"AdamW: decay of the mean gradient."`
	Beta2       float64  `name:"beta2" default:"0.99" help:"AdamW: decay of the mean square."`
	Eps         float64  `default:"1e-8" help:"AdamW: what keeps it from dividing by zero."`
	WeightDecay float64  `default:"0.1" help:"AdamW: weight decay of matrices."`
	Clip        float64  `default:"1" help:"Longest gradient; 0 for no limit."`
	Seed        uint64   `default:"1" help:"Seed of a new model's weights and of the order of the data."`

	EvalEvery   int            `placeholder:"STEPS" help:"Steps between measurements on --valid (default: a twentieth of all)."`
	ValidTokens int            `placeholder:"N" help:"Measure on the first N tokens of each --valid file only (default: all)."`
	SaveEvery   finetune.Every `default:"10m" placeholder:"500|5m" help:"Steps or time between checkpoints."`
	Keep        int            `default:"2" help:"Checkpoints to keep, the best one not counted."`
	MaxTime     time.Duration  `placeholder:"90m" help:"Stop after this long, so that --resume can go on."`
	Last        bool           `help:"Make the last weights the result, not the best ones."`
	DType       string         `name:"dtype" default:"f32" enum:"f32,f16,bf16" help:"How the result's weights are stored (${enum})."`
	Threads     int            `placeholder:"N" help:"Threads to compute on (default: all). They do not change the result."`
	Background  bool           `help:"Run at the lowest priority, so that servers and everything else on this machine go before."`

	Format   string `default:"auto" enum:"auto,turns,openai,chitchat,tsv,preferences" help:"Format of the files (${enum})."`
	SkipBad  bool   `help:"Skip and count lines that hold no dialogue."`
	JSON     bool   `name:"json" help:"Report as JSON lines even in a terminal."`
	LogEvery int    `default:"10" help:"Steps between the lines about steps in JSON."`
}

// Help is what `causerie train --help` says besides the flags.
func (*TrainCmd) Help() string {
	return `A new model, with a tokenizer of its own:

  causerie train --data chats.jsonl.gz --data "starter*5" --valid held-out.jsonl.gz \
      --layers 6 --width 256 --vocab 10000 --steps 6000 --out runs/mine

The bundled model, fine-tuned:

  causerie train --model default --data chats.jsonl --epochs 3 --out runs/tuned

Ctrl-C finishes the step, saves and ends with exit code 130; the same command
with --resume goes on as if nothing had happened, to the same bits.`
}

// Run trains.
func (c *TrainCmd) Run(ctx context.Context, std *IO) error {
	o, err := c.options()
	if err != nil {
		return err
	}
	warnOfPrecision(std, o.Precision)
	if c.Background {
		if err := finetune.LowerPriority(); err != nil {
			return err
		}
	}
	var hook finetune.Hook
	if c.JSON || !std.ErrTerminal() {
		hook = finetune.NewJSONLines(std.Out, c.LogEvery)
	} else {
		hook = finetune.NewProgress(std.Err)
	}
	endWatch := announceStop(ctx, std)
	result, err := finetune.Train(ctx, o, hook)
	endWatch()
	return endOfTraining(std, result, err)
}

// endOfTraining says how a training that did not come to its end can go on.
func endOfTraining(std *IO, result finetune.Result, err error) error {
	var stopped *finetune.Interrupted
	switch {
	case errors.As(err, &stopped):
		fmt.Fprintf(std.Err, "\ncauserie: %v\nThe same command with --resume goes on from there.\n", stopped)
		return &ExitError{Code: exitInterrupted}
	case err != nil:
		return err
	case result.TimeUp:
		fmt.Fprintf(std.Err, "The time is up after step %d of %d, saved in %s.\nThe same command with --resume goes on from there.\n",
			result.Step, result.Steps, result.Checkpoint)
	}
	return nil
}

// announceStop says, when Ctrl-C comes, that saving may take a moment, and lets
// a second Ctrl-C end the program at once: checkpoints are written atomically,
// so that does no harm. The function it returns ends the watch.
func announceStop(ctx context.Context, std *IO) (end func()) {
	said := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(said)
		fmt.Fprintln(std.Err, "\nstopping: finishing the step and saving; again to stop at once")
		signal.Reset(os.Interrupt, syscall.SIGTERM)
	})
	return func() {
		if !stop() {
			<-said
		}
	}
}

// options are the flags in package finetune's terms.
func (c *TrainCmd) options() (finetune.Options, error) {
	data, err := corpora.ParseSources(c.Data...)
	if err != nil {
		return finetune.Options{}, err
	}
	precision, err := precisionOf(c.Precision)
	if err != nil {
		return finetune.Options{}, err
	}
	format, err := corpora.ParseFormat(c.Format)
	if err != nil {
		return finetune.Options{}, usagef("--format: %w", err)
	}
	o := finetune.Options{
		Out: c.Out, Resume: c.Resume, Model: c.Model, Tokenizer: c.Tokenizer,
		Vocab: c.Vocab, Layers: c.Layers, Width: c.Width, Heads: c.Heads, Context: c.Context,
		Data: data, Valid: c.Valid, Format: format, SkipBad: c.SkipBad, Loss: corpora.Loss(c.Loss),
		Steps: c.Steps, Epochs: c.Epochs, Rows: c.Rows, Accumulate: c.Accumulate, Precision: precision, Recompute: c.Recompute,
		LR: c.LR, MinLR: orUnset(c.MinLR), Warmup: orUnset(c.Warmup), Beta1: c.Beta1, Beta2: c.Beta2, Eps: c.Eps,
		WeightDecay: orNone(c.WeightDecay), Clip: orNone(c.Clip), Seed: c.Seed,
		EvalEvery: c.EvalEvery, ValidTokens: c.ValidTokens, SaveEvery: c.SaveEvery, Keep: c.Keep, MaxTime: c.MaxTime,
		Threads: c.Threads, DType: finetune.DType(strings.ToUpper(c.DType)), Last: c.Last,
	}
	check := o
	check.EnsureDefaults()
	if err := check.Validate(); err != nil {
		return o, usagef("%w", err)
	}
	return o, nil
}

// number is a flag's type in which 0 has a meaning of its own.
type number interface{ ~int | ~float64 }

// orNone turns a flag's 0, "none", into what Options calls none: there, 0 is
// the default.
func orNone[T number](v T) T {
	if v == 0 {
		return -1
	}
	return v
}

// orUnset is orNone for a flag that need not be given.
func orUnset[T number](v *T) T {
	if v == nil {
		return 0
	}
	return orNone(*v)
}
