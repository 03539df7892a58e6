// Package cli is causerie's command line: one file per command, each a struct
// whose fields are its flags (kong tags) and whose Run method does the work
// through the packages below. Nothing here computes anything itself.
//
// A flag gets its value from the command line, else from the environment
// (environment.go), else from a configuration file (settings.go), else from its
// tag. Two tags say more than kong's own: config:"-" is a flag that belongs to
// one call and is on the command line only, secret:"" one that
// `causerie config` never shows. docs/configuration.md lists all of them; after
// a change `go test ./internal/cli -run TestConfigurationDoc -update` writes it.
//
// A command reads and writes only through its [IO], so a test calls [Main]
// with buffers and sees exactly what a person would.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
	"golang.org/x/term"
)

// Exit codes, as shells expect them.
const (
	exitOK          = 0
	exitFailure     = 1   // the command ran and failed
	exitUsage       = 2   // the command line makes no sense
	exitInterrupted = 130 // 128 + SIGINT
)

// IO is what a command may read from and write to.
type IO struct {
	In  io.Reader // what the person types or pipes in
	Out io.Writer // the answer, and nothing else
	Err io.Writer // everything about the answer: progress, notices, errors

	// Interrupts delivers Ctrl-C to commands that go on after one. When nil,
	// such a command listens to os.Interrupt itself.
	Interrupts <-chan os.Signal
}

// InTerminal reports whether a person types the input, rather than a pipe.
func (std *IO) InTerminal() bool { return isTerminal(std.In) }

// OutTerminal reports whether the output goes to a screen.
func (std *IO) OutTerminal() bool { return isTerminal(std.Out) }

// ErrTerminal reports whether notices go to a screen: progress bars ask this.
func (std *IO) ErrTerminal() bool { return isTerminal(std.Err) }

func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// ExitError is an error that carries the exit code it asks for. With a nil Err
// the program ends with Code and prints nothing more.
type ExitError struct {
	Code int
	Err  error
}

// Error is the message of the wrapped error.
func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

// Unwrap gives the wrapped error.
func (e *ExitError) Unwrap() error { return e.Err }

// usagef makes an error about the command line itself: exit code 2.
func usagef(format string, args ...any) error {
	return &ExitError{Code: exitUsage, Err: fmt.Errorf(format, args...)}
}

// Main parses args (without the program's name), runs the command they name
// and returns the exit code. Errors go to std.Err as one line, "causerie: …".
func Main(ctx context.Context, args []string, std IO) (exitCode int) {
	// --help and --version leave through kong's Exit from the middle of
	// parsing; the panic brings them back here.
	type leave struct{ code int }
	defer func() {
		switch r := recover().(type) {
		case nil:
		case leave:
			exitCode = r.code
		default:
			panic(r)
		}
	}()
	parser, err := newParser(ctx, &std, func(code int) { panic(leave{code}) })
	if err != nil {
		return report(ctx, std.Err, err)
	}
	parsed, err := parser.Parse(args)
	if bad, ok := errors.AsType[*configError](err); ok {
		fmt.Fprintf(std.Err, "causerie: %v\n", bad)
		return exitUsage
	}
	if err != nil {
		fmt.Fprintf(std.Err, "causerie: %v\nRun \"causerie --help\" to see the commands and their flags.\n", err)
		return exitUsage
	}
	return report(ctx, std.Err, parsed.Run())
}

// newParser makes the command line's parser. Each use needs a new one: what is
// parsed stays in its fields.
func newParser(ctx context.Context, std *IO, exit func(int)) (*kong.Kong, error) {
	parser, err := kong.New(&commands{},
		kong.Name("causerie"),
		kong.Description("Train, serve and talk with GPT-2 dialogue models on an ordinary CPU."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Vars{"version": version()},
		kong.Writers(std.Out, std.Err),
		kong.Exit(exit),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(std),
		environment(),
	)
	if err != nil {
		return nil, fmt.Errorf("building the command line: %w", err)
	}
	return parser, nil
}

// report prints what went wrong, if anything, and chooses the exit code.
func report(ctx context.Context, w io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	if exit, ok := errors.AsType[*ExitError](err); ok {
		if exit.Err != nil {
			fmt.Fprintf(w, "causerie: %v\n", err)
		}
		return exit.Code
	}
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		fmt.Fprintln(w, "causerie: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(w, "causerie: %v\n", err)
	return exitFailure
}
