package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"causerie/models/hf"
	"causerie/pipeline"
)

// EmbedCmd is `causerie embed`.
type EmbedCmd struct {
	Text  []string `arg:"" optional:"" help:"Texts; without any, the lines of --file or of standard input."`
	Model string   `short:"m" default:"default" placeholder:"NAME|DIR" help:"A sentence encoder of the BERT family in Hugging Face's or sentence-transformers' format, or a model that chats."`
	File  string   `short:"f" placeholder:"FILE" help:"File with a text on each line."`

	Query      string `short:"q" xor:"output" placeholder:"TEXT" help:"Print the texts nearest to this one, with their cosines, instead of vectors."`
	Top        int    `default:"10" placeholder:"N" help:"How many texts --query prints."`
	Similarity bool   `xor:"output" help:"Print a table of every text's cosine with every other instead of vectors."`

	Pooling    string `default:"auto" enum:"auto,mean,cls,max,last,decayed" help:"How the tokens' states become one vector (${enum}; auto: as the folder says, of a model that chats the mean)."`
	Dimensions int    `placeholder:"N" help:"Cut vectors off after so many numbers."`
	Truncate   bool   `help:"Leave out what is beyond the model's limit of a text that is too long, instead of refusing it."`
	Threads    int    `placeholder:"N" help:"Threads to compute on (default: all). They do not change the result."`
	dtypeFlag
}

// Help is what `causerie embed --help` says besides the flags.
func (*EmbedCmd) Help() string {
	return `Each text becomes a vector of length 1, printed as a JSON array on a line of its
own, in order. The closer two texts are in meaning, the larger the cosine of
their vectors.

  causerie embed --model all-MiniLM-L6-v2 "a cat on a mat"
  causerie embed --model bge-small-zh-v1.5 --file notes.txt > vectors.jsonl
  causerie embed --model all-MiniLM-L6-v2 --file notes.txt --query "how do I reset it?"`
}

// An embedder is either kind of engine.
type embedder interface {
	Embed(context.Context, pipeline.EmbedRequest) (pipeline.Embeddings, error)
	Close(context.Context) error
}

// Run embeds the texts.
func (c *EmbedCmd) Run(ctx context.Context, std *IO) (err error) {
	if c.Top < 1 || c.Dimensions < 0 {
		return usagef("--top and --dimensions must be positive")
	}
	texts, err := c.texts(std)
	if err != nil {
		return err
	}
	engine, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeEmbedder(engine)) }()
	req := pipeline.EmbedRequest{Inputs: inputs(texts), Dimensions: c.Dimensions, Truncate: c.Truncate}
	if c.Pooling != "auto" {
		req.Pooling = pipeline.Pooling(c.Pooling)
	}
	out := bufio.NewWriter(std.Out)
	switch {
	case c.Query != "":
		err = c.printNearest(ctx, out, engine, req, texts)
	case c.Similarity:
		err = printSimilarity(ctx, out, engine, req)
	default:
		req.Emit = func(_ int, vector []float32) error { return json.NewEncoder(out).Encode(vector) }
		_, err = engine.Embed(ctx, req)
	}
	var bad *pipeline.InputError
	if errors.As(err, &bad) && bad.TooLong {
		err = fmt.Errorf("%w; --truncate leaves out the rest", err)
	}
	return errors.Join(asUsage(err), out.Flush())
}

// texts are those of the command line, the file or standard input; blank lines
// are no texts.
func (c *EmbedCmd) texts(std *IO) (texts []string, err error) {
	if len(c.Text) > 0 {
		if c.File != "" {
			return nil, usagef("give either texts or --file, not both")
		}
		return c.Text, nil
	}
	var in io.Reader = std.In
	if c.File != "" {
		file, err := os.Open(c.File)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	} else if std.InTerminal() {
		return nil, usagef("nothing to embed: give texts or --file FILE, or pipe lines in")
	}
	next := scanLines(in)
	for {
		line, err := next()
		if err == io.EOF {
			return texts, nil
		}
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(line) != "" {
			texts = append(texts, line)
		}
	}
}

// open loads a sentence encoder, or a model that chats.
func (c *EmbedCmd) open(ctx context.Context) (embedder, error) {
	dtype, err := c.dtype()
	if err != nil {
		return nil, err
	}
	if hf.IsEncoder(c.Model) {
		return pipeline.OpenEncoder(ctx, c.Model, pipeline.EncoderOptions{Threads: c.Threads, DType: dtype})
	}
	return pipeline.Open(ctx, c.Model, pipeline.EngineOptions{Threads: c.Threads, DType: dtype, MaxSequences: 1})
}

func closeEmbedder(e embedder) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return e.Close(ctx)
}

func inputs(texts []string) []pipeline.EmbedInput {
	in := make([]pipeline.EmbedInput, len(texts))
	for i, text := range texts {
		in[i].Text = text
	}
	return in
}

// printNearest ranks the texts by their cosine with the query.
func (c *EmbedCmd) printNearest(ctx context.Context, w io.Writer, engine embedder, req pipeline.EmbedRequest, texts []string) error {
	req.Inputs = append(inputs([]string{c.Query}), req.Inputs...)
	made, err := engine.Embed(ctx, req)
	if err != nil {
		return err
	}
	type hit struct {
		text   string
		cosine float64
	}
	hits := make([]hit, len(texts))
	for i, text := range texts {
		hits[i] = hit{text, dot(made.Vectors[0], made.Vectors[i+1])}
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.cosine, a.cosine) })
	for _, h := range hits[:min(c.Top, len(hits))] {
		if _, err := fmt.Fprintf(w, "%7.4f\t%s\n", h.cosine, h.text); err != nil {
			return err
		}
	}
	return nil
}

// printSimilarity writes the matrix of cosines, a line for each text.
func printSimilarity(ctx context.Context, w io.Writer, engine embedder, req pipeline.EmbedRequest) error {
	made, err := engine.Embed(ctx, req)
	if err != nil {
		return err
	}
	for _, a := range made.Vectors {
		row := make([]string, len(made.Vectors))
		for i, b := range made.Vectors {
			row[i] = fmt.Sprintf("%.4f", dot(a, b))
		}
		if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
			return err
		}
	}
	return nil
}

// dot is the cosine of two vectors of length 1.
func dot(a, b []float32) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x) * float64(b[i])
	}
	return sum
}
