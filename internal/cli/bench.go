package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"causerie/bench"
	"causerie/models/kernels"
)

// BenchCmd is `causerie bench`.
type BenchCmd struct {
	Model     string        `short:"m" xor:"what" placeholder:"NAME|DIR" help:"Model to measure (default: the bundled one)."`
	Shape     string        `xor:"what" placeholder:"SHAPE" help:"Measure a network with random weights instead: 8M, 124M, 355M, 774M, 1558M, or WIDTHxLAYERSxHEADSxVOCABULARY[xCONTEXT]."`
	DType     []string      `name:"dtype" placeholder:"TYPE,…" help:"Types of weights to measure f32, bf16, int8 (default: f32)."`
	Only      []string      `placeholder:"GROUP,…" help:"What to measure: machine, decode, prefill, first-token, embeddings, load, conversation (default: all)."`
	Streams   []int         `placeholder:"N,…" help:"Numbers of replies to write at the same time (default: 1,4,8,16, or 1,8 with --quick and --against)."`
	Threads   int           `placeholder:"N" help:"Threads to compute on (default: all)."`
	Time      time.Duration `placeholder:"DURATION" help:"About how long it may take (default: 100s, or 12s with --quick)."`
	Quick     bool          `help:"Take few samples and leave out what takes long."`
	Speculate bool          `help:"Let the engine guess how replies go on, as it does when serving (random weights repeat themselves, which flatters it)."`
	JSON      bool          `name:"json" help:"Print one JSON object."`

	Against      string `placeholder:"URL" help:"Compare with a server that speaks OpenAI's API, such as llama-server, over HTTP on both sides."`
	AgainstModel string `placeholder:"NAME" help:"The model to ask it for (default: the first it lists)."`
	AgainstKey   string `secret:"" placeholder:"KEY" help:"The key to show it."`
	AgainstPID   int    `name:"against-pid" placeholder:"PID" help:"Its process on this machine: compare memory too (Linux)."`

	loadFlags

	Child bool `hidden:"" help:"Do the job on standard input for another process."`
}

// Help is what `causerie bench --help` says besides the flags.
func (*BenchCmd) Help() string {
	return `Every figure is the median of its samples, with the extremes, beside what the
machine would allow at most: bytes to be read at the memory's speed, or operations
at the arithmetic's peak, both measured right beside each sample. Ctrl-C ends it
with what there is by then. The fields of --json are those of Report in
"go doc causerie/bench".

  causerie bench --quick
  causerie bench --shape 124M --only decode,prefill
  causerie bench --model DIR --dtype int8 --against http://127.0.0.1:8080

With --load it asks for streamed replies with many clients at the same time, each
on a connection of its own, and judges the server: exit code 1 if there were other
errors than 429, if memory grew or goroutines were left, or if some clients got
far more than others. Limits of open files stay as they are ("ulimit -n").

  causerie bench --load --clients 1000 --duration 2m
  causerie bench --load http://127.0.0.1:8080 --clients 100 --idle 10000 --slow 10`
}

// Run measures and prints.
func (c *BenchCmd) Run(ctx context.Context, std *IO) error {
	if c.Child {
		return bench.Child(ctx, std.In, std.Out)
	}
	if c.Load {
		return c.load(ctx, std)
	}
	if c.URL != "" {
		return usagef("an address is for --load URL or --against URL, not %q alone", c.URL)
	}
	o := bench.Options{
		Model: c.Model, Shape: c.Shape, Only: c.Only, Streams: c.Streams,
		Against: c.Against, AgainstModel: c.AgainstModel, AgainstKey: c.AgainstKey, AgainstPID: c.AgainstPID,
		Threads: c.Threads, Time: c.Time, Quick: c.Quick, Speculate: c.Speculate, Version: version(),
	}
	for _, name := range c.DType {
		d, err := kernels.ParseDType(name)
		if err != nil {
			return usagef("--dtype: %w", err)
		}
		o.DTypes = append(o.DTypes, d)
	}
	if err := o.Validate(); err != nil {
		return usagef("%w", err)
	}
	if self, err := os.Executable(); err == nil {
		o.Self = []string{self, "bench", "--child"}
	}
	if std.ErrTerminal() {
		o.Progress = func(what string) { fmt.Fprintf(std.Err, "\r\x1b[K%s …", what) }
	}
	measure := bench.Measure
	if c.Against != "" {
		measure = bench.Compare
	}
	report, err := measure(ctx, o)
	if std.ErrTerminal() {
		fmt.Fprint(std.Err, "\r\x1b[K")
	}
	if report == nil {
		return err
	}
	return errors.Join(err, c.print(std.Out, report))
}

// print writes what there is, be it all or not.
func (c *BenchCmd) print(w io.Writer, report *bench.Report) error {
	if !c.JSON {
		return report.WriteTable(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(report)
}
