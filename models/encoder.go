package models

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"causerie/models/bert"
	"causerie/models/hf"
	"causerie/models/kernels"
	"causerie/models/tokenizer"
)

// ErrEncoder says that a model is a sentence encoder where one that writes is
// needed.
var ErrEncoder = errors.New("is a sentence encoder: it embeds texts and cannot chat")

// Encoder is a sentence encoder with everything it takes to embed a text.
type Encoder struct {
	Name      string
	Net       *bert.Model
	Tokenizer tokenizer.Tokenizer
	CLS, SEP  int32 // the ids before and after every text
	Settings  hf.SentenceSettings
}

// OpenEncoder loads a sentence encoder's folder. Of the options only DType
// counts; nil means bfloat16 if that is what the folder holds, else float32.
func OpenEncoder(ctx context.Context, dir string, o Options) (_ *Encoder, err error) {
	folder, err := hf.OpenEncoder(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	e := &Encoder{Name: folder.Name, Settings: folder.SentenceSettings}
	var tokErr error
	var reading sync.WaitGroup
	reading.Go(func() { tokErr = e.openTokenizer(folder.Files) })
	dtype := kernels.Float32
	switch {
	case o.DType != nil:
		dtype = *o.DType
	case folder.DType() == hf.BF16:
		dtype = kernels.BFloat16
	}
	e.Net, err = folder.Load(dtype)
	reading.Wait()
	if err := errors.Join(err, tokErr, ctx.Err()); err != nil {
		return nil, err
	}
	if have, need := e.Net.Config.VocabSize, e.Tokenizer.VocabSize(); need > have {
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, the network embeds only %d", e.Name, need, have)
	}
	return e, nil
}

// openTokenizer reads the tokenizer and finds the ids around a text.
func (e *Encoder) openTokenizer(fsys fs.FS) error {
	t, err := tokenizer.Load(fsys)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	for name, id := range map[string]*int32{"[CLS]": &e.CLS, "[SEP]": &e.SEP} {
		var ok bool
		if *id, ok = t.SpecialID(name); !ok {
			return fmt.Errorf("%s: the tokenizer has no %s, which stands around every text", e.Name, name)
		}
	}
	e.Tokenizer = t
	return nil
}

// Tokens are the ids of a text as the network reads them: [CLS], the text after
// the prompt, [SEP]. A special token's name in the text is plain text.
func (e *Encoder) Tokens(text string) []int32 {
	text = e.Settings.Prompt + text
	if e.Settings.LowerCase {
		text = strings.ToLower(text)
	}
	return append(e.Tokenizer.Encode([]int32{e.CLS}, text), e.SEP)
}
