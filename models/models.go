// Package models opens dialogue models by name: the bundled one, which is part
// of the binary, or any Hugging Face GPT-2 folder; and sentence encoders of the
// BERT family from their folders.
//
// What a model is made of lies in the packages below, in the order in which
// data meets them:
//
//	tokenizer  text to token ids and back
//	dialogue   turns to token ids: the prompt template
//	gpt2       token ids to logits: the network
//	bert       token ids to states: the sentence encoders' network
//	ops        the network's operators, on spago's graph
//	kernels    the operators' arithmetic
//	hf         the folder format of all this on disk
//	lora       adapters: small changes of a network, in folders of their own
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
	"sync"

	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/hf"
	"causerie/models/kernels"
	"causerie/models/lora"
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

// Options say what a model is opened for.
type Options struct {
	// Frozen lays the weights out for serving as they are read (see
	// gpt2.NewFrozen): the model takes the least memory and cannot be trained.
	Frozen bool
	// DType is what a frozen model's weights are kept in; nil means
	// ServingDType. A model that can be trained is float32.
	DType *kernels.DType
	// Adapter is the folder of a LoRA adapter to put on the model: every
	// sequence goes through it that does not name another.
	Adapter string
}

// Open loads the bundled model ("default" or "") or the folder of that path,
// which may be an adapter's: then its base is loaded with the adapter on it.
func Open(ctx context.Context, name string, o Options) (*Bundle, error) {
	switch {
	case o.Adapter != "":
		return openAdapted(ctx, name, o)
	case name != "" && name != Default && lora.IsAdapter(os.DirFS(name)):
		base, err := baseOf(name)
		if err != nil {
			return nil, err
		}
		o.Adapter = name
		return openAdapted(ctx, base, o)
	}
	fsys, name, err := find(name)
	if err != nil {
		return nil, err
	}
	if name != Default && hf.IsEncoder(name) {
		return nil, fmt.Errorf("%s %w", name, ErrEncoder)
	}
	return open(ctx, fsys, name, o)
}

// find returns the folder of a model, and the name that errors call it by.
func find(name string) (fs.FS, string, error) {
	if name == "" || name == Default {
		fsys, err := Bundled()
		return fsys, Default, err
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "", fmt.Errorf("no model %q: it is neither a folder here nor the bundled model, which is called %q", name, Default)
	case err != nil:
		return nil, "", fmt.Errorf("model %q: %w", name, err)
	case !info.IsDir():
		return nil, "", fmt.Errorf("model %q is a file; a model is a folder with config.json and model.safetensors", name)
	}
	return os.DirFS(name), strings.TrimRight(filepath.ToSlash(name), "/"), nil
}

// ServingDType is what a folder's weights are served in when nobody says: as
// int8 or bfloat16 if that is what they are stored in, else as float32.
func ServingDType(f *hf.Folder) kernels.DType {
	switch f.DType() {
	case hf.I8:
		return kernels.Int8
	case hf.BF16:
		return kernels.BFloat16
	}
	return kernels.Float32
}

// Bundled is the folder of the bundled model, in the format of package hf.
func Bundled() (fs.FS, error) {
	fsys, err := fs.Sub(bundled, "bundled")
	if err != nil {
		return nil, fmt.Errorf("the bundled model: %w", err)
	}
	return fsys, nil
}

func open(ctx context.Context, fsys fs.FS, name string, o Options) (_ *Bundle, err error) {
	folder, err := hf.Open(fsys, name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	b := &Bundle{Name: name, Generation: folder.Generation}
	// The tokenizer's files take about as long as the weights.
	var tokErr error
	var reading sync.WaitGroup
	reading.Go(func() { tokErr = b.openTokenizer(fsys) })
	err = b.openNet(ctx, folder, o)
	reading.Wait()
	if err := errors.Join(err, tokErr); err != nil {
		return nil, err
	}
	if b.Tokenizer == nil {
		return b, nil
	}
	if have, need := b.Net.Config.VocabSize, b.Tokenizer.VocabSize(); need > have {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the network embeds only %d", b.Name, need, have)
	}
	return b, nil
}

// openNet makes the network and reads its weights.
func (b *Bundle) openNet(ctx context.Context, folder *hf.Folder, o Options) (err error) {
	if o.Frozen {
		dtype := ServingDType(folder)
		if o.DType != nil {
			dtype = *o.DType
		}
		b.Net, err = gpt2.NewFrozen(folder.Config.Model, dtype)
	} else {
		b.Net, err = gpt2.New(folder.Config.Model)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	if err := folder.LoadInto(b.Net.Params()); err != nil {
		return err
	}
	return ctx.Err()
}

// openTokenizer reads the tokenizer, if the folder has one.
func (b *Bundle) openTokenizer(fsys fs.FS) error {
	t, err := tokenizer.Load(fsys)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", b.Name, err)
	}
	if wp, ok := t.(*tokenizer.WordPiece); ok {
		t = wp.JoinHan() // replies in Chinese have no spaces between characters
	}
	b.Tokenizer, b.Template = t, dialogue.ForTokenizer(t)
	return nil
}
