package cli

import (
	"context"
	"encoding/json"

	"causerie/corpora"
)

// CorporaChainCmd is `causerie corpora chain`.
type CorporaChainCmd struct {
	Files []string `arg:"" name:"file" help:"Corpus files, patterns of them, or \"starter\", the bundled corpus."`
	Count int      `default:"1000" help:"Conversations to make of each language."`
	Most  int      `default:"4" help:"Most dialogues in one conversation; the fewest are two."`
	Seed  uint64   `default:"1" help:"Seed of the choice."`
}

// Help is what `causerie corpora chain --help` says besides the flags.
func (*CorporaChainCmd) Help() string {
	return `A model that learnt from dialogues with one subject each is at a loss when
somebody changes it. Train it on these as well:

  causerie corpora chain starter > chained.jsonl`
}

// Run writes the conversations as turns JSONL.
func (c *CorporaChainCmd) Run(ctx context.Context, std *IO) error {
	o := corpora.ChainOptions{Count: c.Count, Most: c.Most, Seed: c.Seed}
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return usagef("%w", err)
	}
	conversations, err := corpora.Chain(ctx, c.Files, o)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(std.Out)
	encoder.SetEscapeHTML(false)
	for d := range conversations {
		line := struct {
			ID    string   `json:"id"`
			Lang  string   `json:"lang"`
			Turns []string `json:"turns"`
		}{ID: d.ID, Lang: d.Lang}
		for _, t := range d.Turns {
			line.Turns = append(line.Turns, t.Text)
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
