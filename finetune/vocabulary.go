package finetune

import (
	"context"
	"errors"
	"fmt"
	"os"

	"causerie/corpora"
	"causerie/internal/durable"
	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// trainTokenizer learns a byte-level BPE with the marker template's special
// tokens from the text of the training corpora, each read once whatever its
// weight, and leaves its files in Out.
func (f *folder) trainTokenizer(ctx context.Context, o *Options) error {
	texts, readErr := corpora.Texts(ctx, pathsOf(o.Data), o.readOptions())
	bpe, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{
		VocabSize: o.Vocab, Specials: dialogue.Specials(),
		Progress: func(int, int) error { return ctx.Err() },
	})
	if err := errors.Join(readErr(), err); err != nil {
		return fmt.Errorf("training a tokenizer: %w", err)
	}
	if err := durable.ReplaceFiles(o.Out, bpe.Save); err != nil {
		return fmt.Errorf("saving the tokenizer: %w", err)
	}
	return f.takeTokenizer(os.DirFS(o.Out), o.Out)
}

// readOptions is how the corpora are read.
func (o *Options) readOptions() corpora.Options {
	return corpora.Options{Format: o.Format, SkipBad: o.SkipBad}
}
