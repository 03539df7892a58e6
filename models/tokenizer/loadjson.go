package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
)

// tokenizerJSON is tokenizer.json, as far as it is read here.
type tokenizerJSON struct {
	AddedTokens  []tokenJSON    `json:"added_tokens"`
	Normalizer   *componentJSON `json:"normalizer"`
	PreTokenizer *componentJSON `json:"pre_tokenizer"`
	Decoder      *componentJSON `json:"decoder"`
	Model        modelJSON      `json:"model"`
}

type modelJSON struct {
	Type                    string           `json:"type"`
	Vocab                   map[string]int32 `json:"vocab"`
	Merges                  mergeList        `json:"merges"`
	UnkToken                *string          `json:"unk_token"`
	ContinuingSubwordPrefix *string          `json:"continuing_subword_prefix"`
	EndOfWordSuffix         *string          `json:"end_of_word_suffix"`
	FuseUnk                 bool             `json:"fuse_unk"`
	ByteFallback            bool             `json:"byte_fallback"`
	IgnoreMerges            bool             `json:"ignore_merges"`
	MaxInputCharsPerWord    *int             `json:"max_input_chars_per_word"`
}

// componentJSON is a normalizer, pre-tokenizer or decoder: a type and its settings.
type componentJSON struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`

	CleanText          bool  `json:"clean_text"` // BertNormalizer's
	HandleChineseChars bool  `json:"handle_chinese_chars"`
	StripAccents       *bool `json:"strip_accents"`
	Lowercase          bool  `json:"lowercase"`
	Cleanup            bool  `json:"cleanup"` // the WordPiece decoder's

	Normalizers   []componentJSON `json:"normalizers"`
	PreTokenizers []componentJSON `json:"pretokenizers"`
	Decoders      []componentJSON `json:"decoders"`
}

// single unwraps sequences of one; an empty sequence is nothing.
func (c *componentJSON) single() *componentJSON {
	for c != nil && c.Type == "Sequence" {
		parts := append(append(append([]componentJSON{}, c.Normalizers...), c.PreTokenizers...), c.Decoders...)
		switch len(parts) {
		case 0:
			return nil
		case 1:
			c = &parts[0]
		default:
			return c
		}
	}
	return c
}

// loadTokenizerJSON reads tokenizer.json.
func loadTokenizerJSON(fsys fs.FS) (Tokenizer, error) {
	var head struct {
		Model struct {
			Type   string   `json:"type"`
			Merges *anyJSON `json:"merges"`
		} `json:"model"`
	}
	if err := readJSON(fsys, fileTokenizer, &head); err != nil {
		return nil, err
	}
	kind := head.Model.Type
	if kind == "" && head.Model.Merges != nil {
		kind = "BPE" // old files do not say
	}
	if kind != "BPE" && kind != "WordPiece" {
		return nil, unsupported("%s: the model is of type %q; only byte-level BPE and WordPiece are supported", fileTokenizer, kind)
	}
	var file tokenizerJSON
	if err := readJSON(fsys, fileTokenizer, &file); err != nil {
		return nil, err
	}
	side, err := readSideFiles(fsys)
	if err != nil {
		return nil, err
	}
	if kind == "WordPiece" {
		return noNil(file.wordPiece(side))
	}
	return noNil(file.bpe(side))
}

// noNil keeps a nil pointer from becoming a Tokenizer that is not nil.
func noNil[T Tokenizer](t T, err error) (Tokenizer, error) {
	if err != nil {
		return nil, err
	}
	return t, nil
}

// anyJSON is a value that is not looked at.
type anyJSON struct{}

func (*anyJSON) UnmarshalJSON([]byte) error { return nil }

// bpe makes a tokenizer of what the file holds.
func (f *tokenizerJSON) bpe(side *sideFiles) (*BPE, error) {
	if err := f.checkByteLevel(); err != nil {
		return nil, err
	}
	if len(f.Model.Vocab) == 0 {
		return nil, fmt.Errorf("%s: model.vocab is missing or empty", fileTokenizer)
	}
	added, err := f.addedTokens(side, []string{endOfText})
	if err != nil {
		return nil, err
	}
	opts := bpeOptions{
		addPrefixSpace: f.PreTokenizer.single().AddPrefixSpace,
		ignoreMerges:   f.Model.IgnoreMerges,
		fuseUnknown:    f.Model.FuseUnk,
		roles:          side.roles.withDefaults(gpt2Roles),
	}
	if f.Model.UnkToken != nil {
		opts.unknown = *f.Model.UnkToken
	}
	t, err := newBPE(f.Model.Vocab, f.Model.Merges, added, opts)
	var bad *mergeError
	switch {
	case errors.As(err, &bad):
		return nil, fmt.Errorf("%s: model.merges[%d]: %w", fileTokenizer, bad.index, bad.err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", fileTokenizer, err)
	}
	return t, nil
}

// addedTokens lists the added tokens of the file, and what the files beside it add.
func (f *tokenizerJSON) addedTokens(side *sideFiles, known []string) ([]addedToken, error) {
	found := map[string]addedToken{}
	for i, t := range f.AddedTokens {
		if t.Content == "" {
			return nil, fmt.Errorf("%s: added_tokens[%d]: the content is empty", fileTokenizer, i)
		}
		if _, twice := found[t.Content]; twice {
			return nil, fmt.Errorf("%s: added_tokens[%d]: %q is listed twice", fileTokenizer, i, t.Content)
		}
		found[t.Content] = t.token(t.ID)
	}
	return side.addedTokens(f.Model.Vocab, found, known)
}

// checkByteLevel refuses, by name, whatever would make other ids than this package's.
func (f *tokenizerJSON) checkByteLevel() error {
	refuse := func(what, kind string) error {
		return unsupported("%s: %s %q is not supported; only byte-level BPE is", fileTokenizer, what, kind)
	}
	if n := f.Normalizer.single(); n != nil {
		return refuse("the normalizer", n.Type)
	}
	p := f.PreTokenizer.single()
	switch {
	case p == nil:
		return refuse("the pre_tokenizer", "none")
	case p.Type != "ByteLevel":
		return refuse("the pre_tokenizer", p.Type)
	case p.UseRegex != nil && !*p.UseRegex:
		return refuse("the pre_tokenizer", "ByteLevel without use_regex")
	}
	if d := f.Decoder.single(); d != nil && d.Type != "ByteLevel" {
		return refuse("the decoder", d.Type)
	}
	for _, s := range []struct {
		name  string
		value *string
	}{
		{"continuing_subword_prefix", f.Model.ContinuingSubwordPrefix},
		{"end_of_word_suffix", f.Model.EndOfWordSuffix},
	} {
		if s.value != nil && *s.value != "" {
			return refuse("the model's "+s.name, *s.value)
		}
	}
	if f.Model.ByteFallback {
		return refuse("the model's setting", "byte_fallback")
	}
	return nil
}
