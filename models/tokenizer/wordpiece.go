package tokenizer

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// WordPiece is BERT's tokenizer, as Hugging Face's BertTokenizer does it. Make one with
// [Load]; the zero value knows no tokens.
//
// Decode follows Hugging Face too: words are joined by spaces, Chinese characters
// among them ("你 好"), and the space before . ? ! , is dropped. JoinHan makes
// a tokenizer that writes Chinese as people do.
type WordPiece struct {
	entries []string         // id -> entry; "" where an id is unused
	ids     map[string]int32 // entry -> id
	rest    map[string]int32 // entries that continue a word, without their prefix -> id
	longest int              // length of the longest entry, in bytes
	unknown int32
	added   *addedTokens

	alone []string // id -> its text at the start of a sequence
	after []string // id -> its text after another token
	opts  wordPieceOptions
}

// wordPieceOptions are the settings of BERT's tokenizer files.
type wordPieceOptions struct {
	unknown      string // stands for words that cannot be spelled
	prefix       string // marks an entry that continues a word
	maxRunes     int    // longer words are unknown
	cleanText    bool   // drop control characters, make all white space a space
	spaceHan     bool   // each Chinese character is a word
	stripAccents bool
	lowerCase    bool
	tidy         bool // decoding drops the space before punctuation
	joinHan      bool // and those beside Chinese characters
	roles        roles
}

// defaultWordPiece is what BERT does when no file says otherwise.
func defaultWordPiece() wordPieceOptions {
	return wordPieceOptions{
		unknown: "[UNK]", prefix: "##", maxRunes: 100,
		cleanText: true, spaceHan: true, stripAccents: true, lowerCase: true, tidy: true,
	}
}

// newWordPiece builds a tokenizer from its entries by id. Where an entry occurs twice
// the later id is the one text is given, as in Hugging Face's.
func newWordPiece(entries []string, added []addedToken, opts wordPieceOptions) (*WordPiece, error) {
	t := &WordPiece{
		entries: entries, ids: make(map[string]int32, len(entries)), rest: map[string]int32{},
		added: newAddedTokens(added), opts: opts,
	}
	for id, entry := range entries {
		if entry == "" {
			continue
		}
		t.ids[entry] = int32(id)
		t.longest = max(t.longest, len(entry))
		if rest, ok := strings.CutPrefix(entry, opts.prefix); ok && rest != "" {
			t.rest[rest] = int32(id)
		}
	}
	id, ok := t.ids[opts.unknown]
	if !ok {
		return nil, fmt.Errorf("the vocabulary has no %q, which stands for unknown words", opts.unknown)
	}
	t.unknown = id
	t.setTexts()
	return t, nil
}

// JoinHan returns a tokenizer that differs from t in decoding only: it puts no space
// beside a Chinese character or full-width punctuation.
func (t *WordPiece) JoinHan() *WordPiece {
	joined := *t
	joined.opts.joinHan = true
	return &joined
}

// Encode implements [Tokenizer]. Text that is not valid UTF-8 is read as if each wrong
// byte were U+FFFD.
func (t *WordPiece) Encode(dst []int32, text string) []int32 { return t.encode(dst, text, false) }

// EncodeSpecial implements [Tokenizer].
func (t *WordPiece) EncodeSpecial(dst []int32, text string) []int32 { return t.encode(dst, text, true) }

func (t *WordPiece) encode(dst []int32, text string, special bool) []int32 {
	if t.added == nil {
		return dst
	}
	return t.added.raw.split(dst, text, special, func(dst []int32, text string) []int32 {
		return t.added.normalized.split(dst, t.opts.normalize(text), special, t.encodePlain)
	})
}

// encodePlain encodes normalised text: it splits at white space and around each mark
// of punctuation.
func (t *WordPiece) encodePlain(dst []int32, text string) []int32 {
	start := 0 // of the current word
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case unicode.IsSpace(r):
			dst = t.encodeWord(dst, text[start:i])
			start = i + n
		case isPunctuation(r):
			dst = t.encodeWord(dst, text[start:i])
			dst = t.encodeWord(dst, text[i:i+n])
			start = i + n
		}
		i += n
	}
	return t.encodeWord(dst, text[start:])
}

// encodeWord covers a word from the left with the longest entries there are. If that
// fails anywhere, or the word is too long, all of it is unknown.
func (t *WordPiece) encodeWord(dst []int32, word string) []int32 {
	if word == "" {
		return dst
	}
	if len(word) > t.opts.maxRunes && utf8.RuneCountInString(word) > t.opts.maxRunes {
		return append(dst, t.unknown)
	}
	before := len(dst)
	entries := t.ids
	for word != "" {
		n := min(len(word), t.longest)
		id, ok := entries[word[:n]]
		for !ok && n > 0 {
			n-- // a prefix that ends inside a character is in no vocabulary
			id, ok = entries[word[:n]]
		}
		if !ok {
			return append(dst[:before], t.unknown)
		}
		dst = append(dst, id)
		word = word[n:]
		entries = t.rest
	}
	return dst
}

// AppendToken implements [Tokenizer].
func (t *WordPiece) AppendToken(dst []byte, id int32) []byte {
	if !t.has(id) {
		return dst
	}
	return append(dst, t.entries[id]...)
}

// VocabSize implements [Tokenizer].
func (t *WordPiece) VocabSize() int { return len(t.entries) }

// SpecialID implements [Tokenizer].
func (t *WordPiece) SpecialID(name string) (int32, bool) { return t.added.specialID(name) }

// IsSpecial implements [Tokenizer].
func (t *WordPiece) IsSpecial(id int32) bool { return t.added.isSpecial(id) }

// has reports whether id is that of an entry.
func (t *WordPiece) has(id int32) bool {
	return id >= 0 && int(id) < len(t.entries) && t.entries[id] != ""
}
