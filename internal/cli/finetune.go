package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/models/lora"
)

// FinetuneCmd is `causerie finetune`.
type FinetuneCmd struct {
	Base    string   `short:"b" default:"default" placeholder:"NAME|DIR" help:"Model to begin with: a GPT-2 folder or \"default\", the bundled model."`
	Data    []string `required:"" short:"d" sep:"none" placeholder:"FILE" help:"Dialogues to learn from, in OpenAI's chat format or any other that is known: a file, a pattern, or \"starter\"; FILE*5 counts five times. Repeatable."`
	Valid   []string `short:"v" sep:"none" placeholder:"FILE" help:"Dialogues to measure on. Repeatable. Without any, --hold-out chooses some of --data."`
	HoldOut float64  `default:"0.1" help:"Part of the dialogues that is measured on and not learnt, when there is no --valid; 0 for none."`
	Out     string   `placeholder:"DIR" help:"Folder for the result, its checkpoints and its curve (default: finetuned/NAME, after the data)."`
	Resume  bool     `help:"Go on from the last checkpoint in --out, if there is one."`
	Check   bool     `config:"-" help:"Only check the data and estimate time and memory."`

	Method string  `default:"supervised" enum:"supervised,dpo" help:"What is learnt: the replies of dialogues (supervised), or which of two replies is better, from lines in OpenAI's preference format (dpo)."`
	Beta   float64 `placeholder:"B" help:"With --method dpo: how strongly the model is held to what it was; the more, the less it changes (default: 0.1)."`

	LoRA        int      `name:"lora" placeholder:"RANK" help:"Train a LoRA adapter of this rank (8 is usual) instead of all weights."`
	LoRAAlpha   float64  `name:"lora-alpha" placeholder:"A" help:"The adapter is scaled by alpha/rank (default: twice the rank)."`
	LoRADropout float64  `name:"lora-dropout" placeholder:"P" help:"Dropout of what the adapter reads."`
	LoRATargets []string `name:"lora-targets" placeholder:"LAYER" help:"Layers that are adapted: c_attn, attn.c_proj, c_fc, mlp.c_proj or all-linear, the default."`
	Merge       bool     `help:"Write the model with the adapter merged in as well, to OUT/merged."`

	Loss       string   `default:"replies" enum:"all,replies" help:"What is learnt: only the assistant's turns (replies), those of weight 0 left out, or every turn (all)."`
	Epochs     float64  `placeholder:"N" help:"Most passes over the data; --patience may end the training before (default: 10, with --lora 15, of preferences 3)."`
	Steps      int      `placeholder:"N" help:"Optimizer steps to take, instead of --epochs."`
	Patience   int      `default:"4" help:"Validations without a new best after which to stop; 0 for never."`
	EvalEvery  int      `placeholder:"STEPS" help:"Steps between validations (default: a twentieth of all)."`
	Rows       int      `default:"512" help:"Tokens of a micro-batch, which holds as many whole dialogues as fit."`
	Accumulate int      `default:"1" help:"Micro-batches whose gradients make one step."`
	Precision  string   `default:"f32" enum:"f32,bf16" help:"What products round their operands to while training (${enum}): bf16 is faster where the processor has instructions for it, and much slower elsewhere; weights and sums stay f32."`
	Recompute  bool     `help:"Keep less of each block of the model for the way back and compute it again: less memory, more time, the same result."`
	Context    int      `placeholder:"TOKENS" help:"Longest window in tokens (default: the longest dialogue, or the model's context)."`
	LR         float64  `name:"lr" placeholder:"RATE" help:"Highest learning rate (default: 3e-4, with --lora 3e-3, of preferences 2e-5 and 2e-4, for a model of width 256; less for wider ones)."`
	Warmup     *int     `placeholder:"STEPS" help:"Steps until the highest learning rate (default: a tenth of all, at most 200)."`
	Decay      *float64 `name:"weight-decay" placeholder:"D" help:"AdamW: weight decay of matrices (default: 0.1, with --lora none)."`
	Seed       uint64   `default:"1" help:"Seed of the order of the data, the adapter, its dropout and the sample replies."`

	Ask        []string      `sep:"none" placeholder:"TEXT" help:"What to say to the model before and after, to see the replies change. Repeatable (default: how --samples of the dialogues begin)."`
	Samples    int           `default:"4" help:"Dialogues whose first turns are said, when there is no --ask; 0 for none."`
	MaxTime    time.Duration `placeholder:"90m" help:"Stop after this long, so that --resume can go on."`
	DType      string        `name:"dtype" default:"f32" enum:"f32,f16,bf16" help:"How the weights of a whole model are stored (${enum})."`
	Threads    int           `placeholder:"N" help:"Threads to compute on (default: all). They do not change the result."`
	Background bool          `help:"Run at the lowest priority, so that servers and everything else on this machine go before."`

	Format  string `default:"auto" enum:"auto,turns,openai,chitchat,tsv,preferences" help:"Format of the files (${enum})."`
	SkipBad bool   `help:"Leave out lines that hold no dialogue, instead of stopping."`
	JSON    bool   `name:"json" help:"Report as JSON lines even in a terminal."`
}

// Help is what `causerie finetune --help` says besides the flags.
func (*FinetuneCmd) Help() string {
	return `The bundled model learns from a file of chats, every line of which is
{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}:

  causerie finetune --data my.jsonl --lora 8 --out mine
  causerie chat --model mine

The data are checked first. The best weights on the dialogues held out are kept,
loss.svg and loss.png show how it went. Ctrl-C and kill -9 cost nothing but the
steps since the last checkpoint: the same command with --resume goes on, to the
same bits. An adapter's folder is in PEFT's format.

With --method dpo the model learns which of two replies is better (direct
preference optimization), from lines in OpenAI's preference format:
{"input": {"messages": […]}, "preferred_output": [{"role": "assistant", …}],
"non_preferred_output": [{"role": "assistant", …}]}. Without it, the same file
teaches the preferred replies, which is the best thing to do before:

  causerie finetune --data prefs.jsonl --lora 8 --merge --out taught
  causerie finetune --data prefs.jsonl --method dpo --base taught/merged --lora 8 --out tuned`
}

// Run checks, trains and shows what has changed.
func (c *FinetuneCmd) Run(ctx context.Context, std *IO) error {
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
	report := c.reporter(std)
	asking, err := c.prepare(ctx, &o, report)
	if err != nil || c.Check {
		return err
	}
	samples, err := asking.before(ctx)
	if err != nil {
		return err
	}
	endWatch := announceStop(ctx, std)
	result, err := finetune.Train(ctx, o, report.hook, finetune.NewPictures(o.Out))
	endWatch()
	if err := endOfTraining(std, result, err); err != nil || result.TimeUp {
		return err
	}
	if err := asking.after(ctx, o.Out, samples); err != nil {
		return err
	}
	return report.finish(o, result, samples)
}

// options are the flags in package finetune's terms.
func (c *FinetuneCmd) options() (finetune.Options, error) {
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
		Out: c.Out, Resume: c.Resume, Model: c.Base,
		Data: data, Valid: c.Valid, HoldOut: c.HoldOut, Format: format, SkipBad: c.SkipBad, Loss: corpora.Loss(c.Loss),
		Steps: c.Steps, Epochs: c.Epochs, Rows: c.Rows, Accumulate: c.Accumulate, Precision: precision, Recompute: c.Recompute, Context: c.Context,
		LR: c.LR, Warmup: orUnset(c.Warmup), WeightDecay: orUnset(c.Decay), Seed: c.Seed,
		EvalFirst: true, EvalEvery: c.EvalEvery, Patience: c.Patience, MaxTime: c.MaxTime, Merge: c.Merge,
		Threads: c.Threads, DType: finetune.DType(strings.ToUpper(c.DType)),
	}
	if o.Out == "" {
		o.Out = filepath.Join("finetuned", stem(data[0].Path))
	}
	if err := c.adapter(&o); err != nil {
		return o, err
	}
	if err := c.preferences(&o); err != nil {
		return o, err
	}
	if o.Epochs == 0 {
		o.Epochs = usualEpochs(&o)
	}
	check := o
	check.EnsureDefaults()
	if err := check.Validate(); err != nil {
		return o, usagef("%w", err)
	}
	return o, nil
}

// adapter settles what kind of adapter is trained, if any. PEFT's defaults,
// c_attn alone and an alpha of 8, change small models too little.
func (c *FinetuneCmd) adapter(o *finetune.Options) error {
	switch {
	case c.LoRA != 0:
		o.LoRA = &lora.Config{Rank: c.LoRA, Alpha: c.LoRAAlpha, Dropout: c.LoRADropout, Targets: c.LoRATargets}
		if o.LoRA.Alpha == 0 {
			o.LoRA.Alpha = 2 * float64(c.LoRA)
		}
		if len(o.LoRA.Targets) == 0 {
			o.LoRA.Targets = []string{lora.AllLinear}
		}
	case c.LoRAAlpha != 0 || c.LoRADropout != 0 || len(c.LoRATargets) > 0:
		return usagef("--lora-alpha, --lora-dropout and --lora-targets need --lora")
	}
	return nil
}

// preferences settles how preferences are learnt, if that was asked for.
func (c *FinetuneCmd) preferences(o *finetune.Options) error {
	switch {
	case c.Method == "dpo":
		o.DPO = &finetune.DPO{Beta: c.Beta}
		if o.Format == corpora.FormatAuto {
			o.Format = corpora.FormatPreferences
		}
	case c.Beta != 0:
		return usagef("--beta needs --method dpo")
	}
	return nil
}

// usualEpochs is the most passes over the data when nothing is said.
func usualEpochs(o *finetune.Options) float64 {
	switch {
	case o.DPO != nil:
		return 3
	case o.LoRA != nil:
		return 15
	}
	return 10
}

// stem is a file's name without folder and extensions.
func stem(path string) string {
	name := filepath.Base(strings.TrimPrefix(path, corpora.StarterPrefix))
	before, _, _ := strings.Cut(name, ".")
	if before == "" {
		return name
	}
	return before
}

// reporter tells a person or a program what the command does.
type reporter struct {
	std  *IO
	json bool
	hook finetune.Hook
}

func (c *FinetuneCmd) reporter(std *IO) *reporter {
	if c.JSON || !std.ErrTerminal() {
		return &reporter{std: std, json: true, hook: finetune.NewJSONLines(std.Out, 10)}
	}
	return &reporter{std: std, hook: finetune.NewProgress(std.Err)}
}

// event writes a line of JSON beside those of the training.
func (r *reporter) event(v any) error {
	e := json.NewEncoder(r.std.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// checked reports on the data before the training.
func (r *reporter) checked(found corpora.Findings, estimate finetune.Estimate, recompute bool) error {
	if r.json {
		return r.event(struct {
			Event string `json:"event"`
			corpora.Findings
			Estimate finetune.Estimate `json:"estimate"`
		}{"check", found, estimate})
	}
	if err := found.WriteText(r.std.Err); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.std.Err, "about %d steps, %v and %.1f GB of memory\n",
		estimate.Steps, estimate.Duration(), float64(estimate.Bytes)/1e9)
	if recompute && err == nil {
		_, err = fmt.Fprintf(r.std.Err, "of which %v are spent on recomputing activations, which saves %.1f GB\n",
			estimate.RecomputeDuration(), float64(estimate.RecomputeBytes)/1e9)
	}
	return err
}

// finish shows the replies and says how to go on.
func (r *reporter) finish(o finetune.Options, result finetune.Result, samples []sample) error {
	if r.json {
		return r.event(struct {
			Event   string   `json:"event"`
			Samples []sample `json:"samples"`
		}{"samples", samples})
	}
	for _, s := range samples {
		if _, err := fmt.Fprintf(r.std.Out, "\n> %s\n  before: %s\n  after:  %s\n", s.Prompt, s.Before, s.After); err != nil {
			return err
		}
	}
	if result.Stale {
		fmt.Fprintf(r.std.Err, "\nStopped after step %d of %d: the validation loss no longer falls.", result.Step, result.Steps)
	}
	_, err := fmt.Fprintf(r.std.Err, "\nThe curve is in %s. Talk with the result:\n\n  causerie chat --model %s\n",
		filepath.Join(o.Out, "loss.svg"), o.Out)
	return err
}
