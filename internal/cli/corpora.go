package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"causerie/corpora"
	"causerie/models"
	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// CorporaCmd is `causerie corpora`.
type CorporaCmd struct {
	Stats CorporaStatsCmd `cmd:"" help:"Count dialogues, turns, tokens, lengths and duplicates."`
	Chain CorporaChainCmd `cmd:"" help:"Join short dialogues to conversations that change their subject."`
}

// CorporaStatsCmd is `causerie corpora stats`.
type CorporaStatsCmd struct {
	Files     []string `arg:"" name:"file" help:"Corpus files, patterns of them, or \"starter\", the bundled corpus."`
	Tokenizer string   `default:"default" placeholder:"DIR" help:"Count tokens with the tokenizer of this folder, of \"default\", the bundled model, or not at all with \"none\"."`
	Format    string   `default:"auto" enum:"auto,turns,openai,chitchat,tsv,preferences" help:"Format of the files (${enum})."`
	SkipBad   bool     `help:"Skip and count lines that hold no dialogue."`
	JSON      bool     `name:"json" help:"Print one JSON object."`
}

// Run reads the files and prints what is in them.
func (c *CorporaStatsCmd) Run(ctx context.Context, std *IO) error {
	format, err := corpora.ParseFormat(c.Format)
	if err != nil {
		return usagef("--format: %w", err)
	}
	o := corpora.MeasureOptions{Read: corpora.Options{Format: format, SkipBad: c.SkipBad}}
	if o.Template, err = c.template(); err != nil {
		return err
	}
	report, err := corpora.Measure(ctx, c.Files, o)
	if err != nil {
		return err
	}
	if !c.JSON {
		return report.WriteTable(std.Out)
	}
	encoder := json.NewEncoder(std.Out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// template spells dialogues with the tokenizer that was asked for; nil for none.
func (c *CorporaStatsCmd) template() (dialogue.Template, error) {
	var folder fs.FS
	switch c.Tokenizer {
	case "none":
		return nil, nil
	case models.Default:
		bundled, err := models.Bundled()
		if err != nil {
			return nil, err
		}
		folder = bundled
	default:
		folder = os.DirFS(c.Tokenizer)
	}
	t, err := tokenizer.Load(folder)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("--tokenizer %s: no tokenizer there: %w", c.Tokenizer, err)
		}
		return nil, fmt.Errorf("--tokenizer %s: %w", c.Tokenizer, err)
	}
	return dialogue.ForTokenizer(t), nil
}
