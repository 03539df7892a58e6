package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/schollz/progressbar/v3"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/models/kernels"
)

// EvalCmd is `causerie eval`.
type EvalCmd struct {
	Model   string   `short:"m" default:"default" placeholder:"NAME|DIR" help:"Model to measure: a GPT-2 folder or \"default\", the bundled model."`
	Data    []string `required:"" short:"d" sep:"none" placeholder:"FILE" help:"Dialogues to measure on: a file, a pattern, or \"starter\". Repeatable."`
	DType   []string `name:"dtype" default:"auto" enum:"auto,f32,bf16,int8" placeholder:"DTYPE,…" help:"What the weights are kept in, as for serving; several (f32,bf16,int8) are compared in a table."`
	Loss    string   `default:"all" enum:"all,replies" help:"What is measured: every turn (all) or only the assistant's (replies)."`
	Context int      `placeholder:"TOKENS" help:"Longest window in tokens (default: the model's context)."`
	Rows    int      `default:"2048" help:"Tokens in a batch."`
	Threads int      `placeholder:"N" help:"Threads to compute on (default: all). They do not change the result."`
	Format  string   `default:"auto" enum:"auto,turns,openai,chitchat,tsv,preferences" help:"Format of the files (${enum})."`
	SkipBad bool     `help:"Skip and count lines that hold no dialogue."`
	JSON    bool     `name:"json" help:"Print one JSON object."`
}

// Help is what `causerie eval --help` says besides the flags.
func (*EvalCmd) Help() string {
	return `Loss (nats per token) and perplexity are over all predicted tokens and depend on
the vocabulary. Bits per byte are over the dialogues' text alone, so models with
different vocabularies can be compared by them.

What serving in fewer bytes costs and gains:

  causerie eval --model DIR --data held-out.jsonl --dtype f32,bf16,int8`
}

// Run measures.
func (c *EvalCmd) Run(ctx context.Context, std *IO) error {
	format, err := corpora.ParseFormat(c.Format)
	if err != nil {
		return usagef("--format: %w", err)
	}
	o := finetune.EvalOptions{
		Model: c.Model, Data: c.Data, Format: format, SkipBad: c.SkipBad,
		Loss: corpora.Loss(c.Loss), Context: c.Context, Rows: c.Rows, Threads: c.Threads,
	}
	if err := o.Validate(); err != nil {
		return usagef("%w", err)
	}
	dtypes, err := c.dtypes()
	if err != nil {
		return err
	}
	if std.ErrTerminal() {
		bar := progressbar.NewOptions(1, progressbar.OptionSetWriter(std.Err), progressbar.OptionClearOnFinish(),
			progressbar.OptionSetWidth(20), progressbar.OptionSetDescription("measuring"))
		o.Progress = func(done, all int) {
			bar.ChangeMax(all)
			_ = bar.Set(done) // a bar that cannot be drawn is no reason to stop
		}
	}
	reports, err := finetune.Compare(ctx, o, dtypes)
	if err != nil {
		return err
	}
	switch {
	case len(reports) > 1 && c.JSON:
		return json.NewEncoder(std.Out).Encode(comparisonOf(reports))
	case len(reports) > 1:
		return printComparison(std.Out, comparisonOf(reports))
	case c.JSON:
		return json.NewEncoder(std.Out).Encode(reports[0])
	}
	return printReport(std.Out, reports[0])
}

// dtypes are those asked for, each once.
func (c *EvalCmd) dtypes() ([]*kernels.DType, error) {
	var dtypes []*kernels.DType
	for i, name := range c.DType {
		if slices.Contains(c.DType[:i], name) {
			return nil, usagef("--dtype: %s is there twice", name)
		}
		d, err := parseDType(name)
		if err != nil {
			return nil, err
		}
		dtypes = append(dtypes, d)
	}
	return dtypes, nil
}

// printReport prints a table: a line for each file, and one for all.
func printReport(w io.Writer, r finetune.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "loss\tperplexity\tbits per byte\ttokens\tdialogues\ttext bytes\t")
	row := func(s finetune.Score, name string) {
		fmt.Fprintf(t, "%.4f\t%.3f\t%.4f\t%d\t%d\t%d\t%s\n", s.Loss, s.Perplexity, s.BitsPerByte, s.Tokens, s.Dialogues, s.TextBytes, name)
	}
	for _, s := range r.Files {
		row(s, s.File)
	}
	if len(r.Files) > 1 {
		row(r.Score, "all")
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.SkippedBad > 0 {
		_, err := fmt.Fprintf(w, "%d bad lines were skipped\n", r.SkippedBad)
		return err
	}
	return nil
}
