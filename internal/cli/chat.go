package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"causerie/pipeline"
)

// ChatCmd is `causerie chat`.
type ChatCmd struct {
	modelFlags
	System string `placeholder:"TEXT" help:"Instructions that stand before the conversation."`
	samplingFlags
}

// Help is what `causerie chat --help` says besides the flags.
func (*ChatCmd) Help() string {
	return `Type and get an answer; /help lists what else can be typed. Ctrl-C stops a reply,
Ctrl-D leaves.

In a pipe every line is a question and gets one line of reply:

  printf '你好\nwhat can you do?\n' | causerie chat --seed 1`
}

// Run talks until the input ends.
func (c *ChatCmd) Run(ctx context.Context, std *IO) (err error) {
	if err := c.validate(); err != nil {
		return err
	}
	engine, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeEngine(engine)) }()
	if engine.Model().Tokenizer == nil {
		return fmt.Errorf("%s: %w: try causerie generate --ids", engine.Name(), pipeline.ErrNoTokenizer)
	}
	o := engine.ChatDefaults()
	c.apply(&o)
	if strings.TrimSpace(c.System) != "" && !engine.Model().Template.SystemTurns() {
		fmt.Fprintf(std.Err, "causerie: the model %s has no place for --system; it will not read it\n", engine.Name())
	}
	talk := conversation{
		std:     std,
		session: pipeline.NewSession(engine, c.System, o),
		typed:   std.InTerminal(),
	}
	next := scanLines(std.In)
	if talk.typed && std.In == os.Stdin && std.Out == os.Stdout && std.OutTerminal() {
		var restore func()
		next, restore = editLines(promptText)
		defer restore()
	} else if talk.typed {
		talk.prompt = promptText
	}
	talk.lines = newLineReader(next)
	defer talk.lines.close()
	// A conversation goes on after a Ctrl-C, which has ended ctx for good by
	// then; so it listens to the signals itself.
	talk.interrupts = std.Interrupts
	if talk.interrupts == nil {
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(signals)
		talk.interrupts = signals
	}
	if talk.typed {
		fmt.Fprintf(std.Err, "%s, model %s. /help lists the commands, Ctrl-D leaves.\n", version(), engine.Name())
	}
	return talk.run(context.WithoutCancel(ctx))
}

const promptText = "> "

// conversation is a running chat.
type conversation struct {
	std        *IO
	session    *pipeline.Session
	typed      bool   // by a person at a terminal
	prompt     string // that the conversation itself must show
	lines      *lineReader
	interrupts <-chan os.Signal
	saved      map[string]bool // files that /save wrote and may write again
	failed     bool            // a piped question had no reply
}

// errQuit ends the conversation.
var errQuit = errors.New("quit")

var errInterrupted = &ExitError{Code: exitInterrupted}

func (t *conversation) run(ctx context.Context) error {
	for {
		fmt.Fprint(t.std.Err, t.prompt)
		line, err := t.read()
		switch {
		case err == io.EOF:
			if t.typed {
				fmt.Fprintln(t.std.Err)
			}
			return t.end()
		case err != nil:
			return err
		}
		switch line = strings.TrimSpace(line); {
		case line == "":
		case strings.HasPrefix(line, "/"):
			err = t.command(line)
		default:
			err = t.answer(ctx, line)
		}
		if err == errQuit {
			return t.end()
		}
		if err != nil {
			return err
		}
	}
}

func (t *conversation) end() error {
	if t.failed {
		return &ExitError{Code: exitFailure} // each failure has been told already
	}
	return nil
}

// read waits for the next line or for a Ctrl-C.
func (t *conversation) read() (string, error) {
	t.lines.ask()
	select {
	case line := <-t.lines.answers:
		return line.text, line.err
	case <-t.interrupts:
		if t.typed {
			fmt.Fprintln(t.std.Err)
		}
		return "", errInterrupted
	}
}

// answer asks the model and shows its reply on one line when it goes to a
// pipe, as it is otherwise.
func (t *conversation) answer(ctx context.Context, question string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var quit bool
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		select {
		case s := <-t.interrupts:
			quit = !t.typed || s != os.Interrupt
			cancel()
		case <-ctx.Done():
		}
	}()
	_, err := t.session.Say(ctx, question, func(p pipeline.Piece) error {
		text := p.Text
		if !t.typed {
			text = oneLine.Replace(text)
		}
		_, err := io.WriteString(t.std.Out, text)
		return err
	})
	cancel()
	<-watching
	if _, lineErr := fmt.Fprintln(t.std.Out); lineErr != nil {
		return fmt.Errorf("writing the reply: %w", lineErr)
	}
	switch {
	case quit:
		return errInterrupted
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(t.std.Err, "(stopped)")
		return nil
	case isReplyError(err):
		fmt.Fprintf(t.std.Err, "causerie: %v\n", err)
		t.failed = t.failed || !t.typed
		return nil
	}
	return err
}

// oneLine keeps a reply on its line of a pipe.
var oneLine = strings.NewReplacer("\n", " ", "\r", " ")

// isReplyError reports whether only this question cannot be answered.
func isReplyError(err error) bool {
	_, tooLong := errors.AsType[*pipeline.PromptTooLongError](err)
	return tooLong
}
