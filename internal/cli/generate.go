package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"causerie/pipeline"
)

// GenerateCmd is `causerie generate`.
type GenerateCmd struct {
	modelFlags
	Prompt string  `short:"p" xor:"prompt" config:"-" placeholder:"TEXT" help:"Text to continue; without it and --ids, standard input."`
	IDs    *string `name:"ids" xor:"prompt" config:"-" placeholder:"\"0 52\"" help:"Token ids to continue, separated by spaces."`
	Output string  `default:"auto" enum:"auto,text,ids" help:"Print the new text, or the new token ids on one line (${enum}; auto: as the prompt was given)."`

	IgnoreEnd bool `help:"Go on after the model has ended its text."`
	samplingFlags
}

// Help is what `causerie generate --help` says besides the flags.
func (*GenerateCmd) Help() string {
	return `The prompt is continued as it stands, without turn markers. Standard output has
the continuation alone.

With --ids nothing but the flags shapes the choice: the likeliest token each time,
whatever the model's folder recommends, unless there is a --temperature. An id that
ends the text is printed too.

  causerie generate --prompt "Once upon a time" --seed 1
  causerie generate --model DIR --ids "0 0 0 52" --max-tokens 6 --temperature 0`
}

// Run continues the prompt.
func (c *GenerateCmd) Run(ctx context.Context, std *IO) (err error) {
	req, err := c.request(std)
	if err != nil {
		return err
	}
	engine, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeEngine(engine)) }()
	if c.IDs == nil {
		req.Options = engine.GenerateDefaults()
	}
	req.Options.MaxTokens = 0 // as many as usual, or as there is room for
	req.Options.IgnoreEnd = c.IgnoreEnd
	c.apply(&req.Options)
	if c.Output == "ids" || c.Output == "auto" && c.IDs != nil {
		return c.printIDs(ctx, std, engine, req)
	}
	if engine.Model().Tokenizer == nil {
		return fmt.Errorf("%s: %w; ask for --output ids", engine.Name(), pipeline.ErrNoTokenizer)
	}
	return c.printText(ctx, std, engine, req)
}

// request reads the prompt.
func (c *GenerateCmd) request(std *IO) (req pipeline.GenerateRequest, err error) {
	if err := c.validate(); err != nil {
		return req, err
	}
	switch {
	case c.IDs != nil:
		req.IDs, err = parseIDs(*c.IDs)
		return req, err
	case c.Prompt != "":
		req.Text = c.Prompt
		return req, nil
	case std.InTerminal():
		return req, usagef("nothing to continue: give --prompt TEXT or --ids \"…\", or pipe the text in")
	}
	text, err := io.ReadAll(io.LimitReader(std.In, maxLine))
	if err != nil {
		return req, fmt.Errorf("reading the prompt: %w", err)
	}
	req.Text = strings.TrimRight(string(text), "\r\n")
	return req, nil
}

func (c *GenerateCmd) printText(ctx context.Context, std *IO, engine *pipeline.Engine, req pipeline.GenerateRequest) error {
	_, err := engine.Generate(ctx, req, func(p pipeline.Piece) error {
		_, err := io.WriteString(std.Out, p.Text)
		return err
	})
	if err != nil {
		return asUsage(err)
	}
	_, err = fmt.Fprintln(std.Out)
	return err
}

func (c *GenerateCmd) printIDs(ctx context.Context, std *IO, engine *pipeline.Engine, req pipeline.GenerateRequest) error {
	reply, err := engine.Generate(ctx, req, nil)
	if err != nil {
		return asUsage(err)
	}
	fields := make([]string, len(reply.IDs))
	for i, id := range reply.IDs {
		fields[i] = strconv.Itoa(int(id))
	}
	_, err = fmt.Fprintln(std.Out, strings.Join(fields, " "))
	return err
}

// parseIDs reads token ids separated by spaces or commas.
func parseIDs(list string) ([]int32, error) {
	fields := strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(" ,\t\r\n", r) })
	if len(fields) == 0 {
		return nil, usagef("--ids is empty: a model needs at least one token to go on from")
	}
	ids := make([]int32, len(fields))
	for i, field := range fields {
		id, err := strconv.ParseInt(field, 10, 32)
		if err != nil {
			return nil, usagef("--ids: %q is not a token id", field)
		}
		ids[i] = int32(id)
	}
	return ids, nil
}
