package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"causerie/bench/load"
)

// loadFlags are those of `causerie bench --load`.
type loadFlags struct {
	URL      string        `arg:"" optional:"" placeholder:"URL" help:"With --load, the server (default: one that this program starts on loopback, with --model, --dtype and --threads)."`
	Load     bool          `help:"Hold a server under load and judge it: errors, latency, fair shares, memory, goroutines."`
	Clients  int           `default:"1000" placeholder:"N" help:"With --load, clients that stream replies at the same time."`
	Duration time.Duration `default:"2m" placeholder:"DURATION" help:"With --load, how long they ask."`
	Tokens   int           `default:"32" placeholder:"N" help:"With --load, tokens of a reply."`
	Idle     int           `placeholder:"N" help:"With --load, connections besides that only wait."`
	Slow     int           `placeholder:"N" help:"With --load, clients besides that read one byte a second."`
	Key      string        `secret:"" placeholder:"KEY" help:"With --load, the API key to show (with the scope admin for memory and goroutines)."`
}

// load runs the load test. Its verdict is the exit code.
func (c *BenchCmd) load(ctx context.Context, std *IO) error {
	if c.Shape != "" || c.Against != "" || len(c.DType) > 1 {
		return usagef("--load goes with --model and one --dtype, not with --shape or --against")
	}
	o := load.Options{
		URL: c.URL, Key: c.Key, Clients: c.Clients, Duration: c.Duration, Tokens: c.Tokens, Idle: c.Idle, Slow: c.Slow, Version: version(),
	}
	if c.URL == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("finding this program: %w", err)
		}
		o.Self, o.Flags = []string{self, "serve"}, c.serveFlags()
	}
	if err := o.Validate(); err != nil {
		return usagef("%w", err)
	}
	if std.ErrTerminal() {
		o.Progress = func(what string) { fmt.Fprintf(std.Err, "\r\x1b[K%s …", what) }
	}
	report, err := load.Run(ctx, o)
	if std.ErrTerminal() {
		fmt.Fprint(std.Err, "\r\x1b[K")
	}
	if report == nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(std.Out)
		e.SetIndent("", "  ")
		err = errors.Join(err, e.Encode(report))
	} else {
		err = errors.Join(err, report.WriteTable(std.Out))
	}
	if err == nil && !report.Passed() {
		return &ExitError{Code: exitFailure}
	}
	return err
}

// serveFlags are the flags of "serve" that say what is served.
func (c *BenchCmd) serveFlags() (flags []string) {
	if c.Model != "" {
		flags = append(flags, "--model", c.Model)
	}
	if len(c.DType) > 0 {
		flags = append(flags, "--dtype", c.DType[0])
	}
	if c.Threads > 0 {
		flags = append(flags, "--threads", strconv.Itoa(c.Threads))
	}
	return flags
}
