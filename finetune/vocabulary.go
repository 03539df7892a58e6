package finetune

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"causerie/corpora"
	"causerie/models/dialogue"
	"causerie/models/tokenizer"
)

// trainTokenizer learns a byte-level BPE with the marker template's special
// tokens from the text of the training corpora, each read once whatever its
// weight, and leaves its files in Out.
func (f *folder) trainTokenizer(ctx context.Context, o *Options) error {
	texts, readErr := turnTexts(ctx, o)
	bpe, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{VocabSize: o.Vocab, Specials: dialogue.Specials()})
	if err := errors.Join(*readErr, err); err != nil {
		return fmt.Errorf("training a tokenizer: %w", err)
	}
	if err := replaceFiles(o.Out, bpe.Save); err != nil {
		return fmt.Errorf("saving the tokenizer: %w", err)
	}
	return f.takeTokenizer(os.DirFS(o.Out), o.Out)
}

// turnTexts yields the text of every turn of the training corpora. What went
// wrong is in the error, once the sequence has ended.
func turnTexts(ctx context.Context, o *Options) (iter.Seq[string], *error) {
	failed := new(error)
	return func(yield func(string) bool) {
		for _, source := range o.Data {
			if *failed = eachTurn(ctx, source.Path, o.readOptions(), yield); *failed != nil {
				return
			}
		}
	}, failed
}

func eachTurn(ctx context.Context, path string, o corpora.Options, yield func(string) bool) (err error) {
	r, err := corpora.Open(path, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for _, turn := range d.Turns {
			if !yield(turn.Text) {
				return nil
			}
		}
	}
	return ctx.Err()
}

// readOptions is how the corpora are read.
func (o *Options) readOptions() corpora.Options {
	return corpora.Options{Format: o.Format, SkipBad: o.SkipBad}
}
