package tokenizer

import (
	"fmt"
	"io/fs"
	"strings"
	"unicode/utf8"
)

// bertSpecials are special in a WordPiece vocabulary whether a file says so or not.
var bertSpecials = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// loadWordPiece reads vocab.txt: the entry on line n has the id n-1. A blank line is
// an id without an entry.
func loadWordPiece(fsys fs.FS) (*WordPiece, error) {
	data, err := fs.ReadFile(fsys, fileWordPiece)
	if err != nil {
		return nil, err
	}
	side, err := readSideFiles(fsys)
	if err != nil {
		return nil, err
	}
	text := strings.TrimRight(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n")
	var entries []string
	vocab := map[string]int32{}
	for line := range strings.Lines(text) {
		entry := strings.TrimRight(line, "\r\n")
		if !utf8.ValidString(entry) {
			return nil, fmt.Errorf("%s:%d: %q is not valid UTF-8", fileWordPiece, len(entries)+1, clip(entry))
		}
		vocab[entry] = int32(len(entries))
		entries = append(entries, entry)
	}
	added, err := side.addedTokens(vocab, map[string]addedToken{}, bertSpecials)
	if err != nil {
		return nil, err
	}
	if entries, err = addEntries(entries, added); err != nil {
		return nil, fmt.Errorf("%s: %w", fileWordPiece, err)
	}
	t, err := newWordPiece(entries, added, side.wordPieceOptions())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileWordPiece, err)
	}
	return t, nil
}

// addEntries extends a vocabulary by the added tokens.
func addEntries(entries []string, added []addedToken) ([]string, error) {
	limit := len(entries) + len(added) + maxWaste
	for _, a := range added {
		if a.id < 0 || int(a.id) >= limit {
			return nil, fmt.Errorf("added token %q: id %d is out of range for %d entries", a.content, a.id, len(entries))
		}
		for int(a.id) >= len(entries) {
			entries = append(entries, "")
		}
		if old := entries[a.id]; old != "" && old != a.content {
			return nil, fmt.Errorf("added token %q has the id %d of %q", a.content, a.id, old)
		}
		entries[a.id] = a.content
	}
	return entries, nil
}

// wordPieceOptions are BERT's settings as far as tokenizer_config.json changes them.
func (s *sideFiles) wordPieceOptions() wordPieceOptions {
	o := defaultWordPiece()
	if v := s.config.DoLowerCase; v != nil {
		o.lowerCase = *v
	}
	if v := s.config.ChineseChars; v != nil {
		o.spaceHan = *v
	}
	o.stripAccents = o.lowerCase
	if v := s.config.StripAccents; v != nil {
		o.stripAccents = *v
	}
	if unk, ok := s.roles["unk_token"]; ok {
		o.unknown = unk
	}
	o.roles = s.roles.withDefaults(bertRoles)
	return o
}

// wordPiece makes a tokenizer of a tokenizer.json whose model is WordPiece. What would
// split text in another way than BERT's is refused by name.
func (f *tokenizerJSON) wordPiece(side *sideFiles) (*WordPiece, error) {
	o, err := f.wordPieceOptions()
	if err != nil {
		return nil, err
	}
	o.roles = side.roles.withDefaults(bertRoles)
	added, err := f.addedTokens(side, bertSpecials)
	if err != nil {
		return nil, err
	}
	entries, err := entryTable(f.Model.Vocab, added)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileTokenizer, err)
	}
	t, err := newWordPiece(entries, added, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", fileTokenizer, err)
	}
	return t, nil
}

func (f *tokenizerJSON) wordPieceOptions() (wordPieceOptions, error) {
	o := defaultWordPiece()
	refuse := func(what, kind string) (wordPieceOptions, error) {
		return o, unsupported("%s: %s %q is not supported; for WordPiece only BERT's is", fileTokenizer, what, kind)
	}
	switch n := f.Normalizer.single(); {
	case n == nil:
		o.cleanText, o.spaceHan, o.stripAccents, o.lowerCase = false, false, false, false
	case n.Type != "BertNormalizer":
		return refuse("the normalizer", n.Type)
	default:
		o.cleanText, o.spaceHan, o.lowerCase = n.CleanText, n.HandleChineseChars, n.Lowercase
		o.stripAccents = o.lowerCase
		if n.StripAccents != nil {
			o.stripAccents = *n.StripAccents
		}
	}
	switch p := f.PreTokenizer.single(); {
	case p == nil:
		return refuse("the pre_tokenizer", "none")
	case p.Type != "BertPreTokenizer":
		return refuse("the pre_tokenizer", p.Type)
	}
	switch d := f.Decoder.single(); {
	case d == nil:
		// Nothing is said: BERT's way.
	case d.Type != "WordPiece":
		return refuse("the decoder", d.Type)
	default:
		o.tidy = d.Cleanup
	}
	m := &f.Model
	if m.UnkToken != nil {
		o.unknown = *m.UnkToken
	}
	if m.ContinuingSubwordPrefix != nil {
		o.prefix = *m.ContinuingSubwordPrefix
	}
	if m.MaxInputCharsPerWord != nil {
		o.maxRunes = *m.MaxInputCharsPerWord
	}
	return o, nil
}
