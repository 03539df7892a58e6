package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tidier undoes what tokenizing did to English punctuation. The list, its order and
// that it is applied token by token are those of Hugging Face's WordPiece decoder.
var tidySteps = []struct{ from, to string }{
	{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
	{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
}

func tidy(s string) string {
	for _, step := range tidySteps {
		s = strings.ReplaceAll(s, step.from, step.to)
	}
	return s
}

// setTexts works out what each token adds to a text.
func (t *WordPiece) setTexts() {
	t.alone = make([]string, len(t.entries))
	t.after = make([]string, len(t.entries))
	for id, entry := range t.entries {
		if entry == "" {
			continue
		}
		alone, after := entry, " "+entry
		if rest, ok := strings.CutPrefix(entry, t.opts.prefix); ok {
			after = rest
		}
		if t.opts.tidy {
			alone, after = tidy(alone), tidy(after)
		}
		t.alone[id], t.after[id] = alone, after
	}
}

// Decode implements [Tokenizer].
func (t *WordPiece) Decode(ids []int32) string {
	var out []byte
	prev := noToken
	for _, id := range ids {
		if t.has(id) {
			out = t.appendPiece(out, prev, id)
			prev = id
		}
	}
	return string(out)
}

// appendPiece appends what the token id adds to a text after the token prev, or at its
// start if prev is noToken.
func (t *WordPiece) appendPiece(dst []byte, prev, id int32) []byte {
	switch {
	case !t.has(id):
		return dst
	case prev == noToken:
		return append(dst, t.alone[id]...)
	}
	text := t.after[id]
	if t.opts.joinHan && strings.HasPrefix(text, " ") {
		last, _ := utf8.DecodeLastRuneInString(t.entries[prev])
		first, _ := utf8.DecodeRuneInString(text[1:])
		if isWide(last) || isWide(first) {
			text = text[1:]
		}
	}
	return append(dst, text...)
}

// isWide reports whether r is a Chinese character, or punctuation of Chinese text,
// which brings its own room.
func isWide(r rune) bool {
	return isChinese(r) || r >= 0x3000 && r <= 0x303F || r >= 0xFF01 && r <= 0xFF65 ||
		r == '“' || r == '”' || r == '‘' || r == '’' || r == '…' || r == '—'
}

// isChinese reports whether r is one of the characters that BERT takes for words of
// their own. The ranges are those of Hugging Face's tokenizers, which differ from
// BERT's in the start of the seventh (2B920, not 2B820).
func isChinese(r rune) bool {
	return r >= 0x4E00 && (r <= 0x9FFF || r >= 0xF900 && r <= 0xFAFF) ||
		r >= 0x3400 && r <= 0x4DBF ||
		r >= 0x20000 && (r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B73F ||
			r >= 0x2B740 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF ||
			r >= 0x2F800 && r <= 0x2FA1F)
}

// isPunctuation is BERT's notion: all of ASCII that is neither letter, digit, space nor
// control, and the rest of Unicode's punctuation.
func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '!' && r <= '/' || r >= ':' && r <= '@' || r >= '[' && r <= '`' || r >= '{' && r <= '~'
	}
	return unicode.IsPunct(r)
}
