// Package models opens dialogue models by name: the bundled one, which is part
// of the binary, or any Hugging Face GPT-2 folder.
//
// What a model is made of lies in the packages below, in the order in which
// data meets them:
//
//	tokenizer  text to token ids and back
//	dialogue   turns to token ids: the prompt template
//	gpt2       token ids to logits: the network
//	ops        the network's operators, on spago's graph
//	kernels    the operators' arithmetic
//	hf         the folder format of all this on disk
package models

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/tokenizer"
)

// Default is the name of the bundled model.
const Default = "default"

//go:embed all:bundled
var bundled embed.FS

// Bundle is a model with everything it takes to talk with it.
type Bundle struct {
	Name       string
	Net        *gpt2.Model
	Tokenizer  tokenizer.Tokenizer // nil when the folder has none: then only ids go in and out
	Template   dialogue.Template   // nil without a tokenizer
	Generation hf.Generation       // what the folder recommends for sampling
}

// Open loads the bundled model ("default" or "") or the folder of that path.
func Open(ctx context.Context, name string) (*Bundle, error) {
	if name == "" || name == Default {
		fsys, err := Bundled()
		if err != nil {
			return nil, err
		}
		return open(ctx, fsys, Default)
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no model %q: it is neither a folder here nor the bundled model, which is called %q", name, Default)
	case err != nil:
		return nil, fmt.Errorf("model %q: %w", name, err)
	case !info.IsDir():
		return nil, fmt.Errorf("model %q is a file; a model is a folder with config.json and model.safetensors", name)
	}
	return open(ctx, os.DirFS(name), strings.TrimRight(filepath.ToSlash(name), "/"))
}

// Bundled is the folder of the bundled model, in the format of package hf.
func Bundled() (fs.FS, error) {
	fsys, err := fs.Sub(bundled, "bundled")
	if err != nil {
		return nil, fmt.Errorf("the bundled model: %w", err)
	}
	return fsys, nil
}

func open(ctx context.Context, fsys fs.FS, name string) (_ *Bundle, err error) {
	folder, err := hf.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	b := &Bundle{Name: name, Generation: folder.Generation}
	if b.Net, err = gpt2.New(folder.Config.Model); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := folder.LoadInto(b.Net.Params()); err != nil {
		return nil, err
	}
	if err := b.openTokenizer(fsys); err != nil {
		return nil, err
	}
	return b, ctx.Err()
}

// openTokenizer reads the tokenizer, if the folder has one, and checks that
// the network knows every id it can produce.
func (b *Bundle) openTokenizer(fsys fs.FS) error {
	t, err := tokenizer.Load(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	if have, need := b.Net.Config.VocabSize, t.VocabSize(); need > have {
		return fmt.Errorf("%s: the tokenizer has %d tokens, the network embeds only %d", b.Name, need, have)
	}
	if wp, ok := t.(*tokenizer.WordPiece); ok {
		t = wp.JoinHan() // replies in Chinese have no spaces between characters
	}
	b.Tokenizer, b.Template = t, dialogue.ForTokenizer(t)
	return nil
}
