package corpora

import (
	"context"
	"errors"
	"io"
	"iter"
)

// Texts yields the text of every turn of the files, in order, as the training
// of a new vocabulary wants it. The second function says, once the texts have
// been gone through, what ended them early: nil if nothing did.
func Texts(ctx context.Context, paths []string, o Options) (iter.Seq[string], func() error) {
	var failed error
	texts := func(yield func(string) bool) {
		for _, path := range paths {
			more, err := textsOf(ctx, path, o, yield)
			if err != nil {
				failed = err
			}
			if err != nil || !more {
				return
			}
		}
	}
	return texts, func() error { return failed }
}

// textsOf yields the texts of one file; more says whether the others are wanted.
func textsOf(ctx context.Context, path string, o Options, yield func(string) bool) (more bool, err error) {
	r, err := Open(path, o)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		for _, t := range d.Turns {
			if !yield(t.Text) {
				return false, nil
			}
		}
	}
	return false, ctx.Err()
}
