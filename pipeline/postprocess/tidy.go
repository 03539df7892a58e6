package postprocess

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tidier puts spaces right, rune by rune: it emits every rune that is not a
// space as it is, and decides about the space between two of them when it has
// seen a few runes after it. What it decides does not depend on how the text
// was cut into pieces, and tidy text stays as it is.
type tidier struct {
	words       bool   // SpacingWords
	buf         []rune // not decided yet; starts with a space, or is empty
	prev, prev2 rune   // the last two runes emitted; 0 before the first
	quoted      bool   // within straight double quotes
	glued       bool   // prev is the apostrophe of a contraction
}

// tidy is the whole of it at once.
func tidy(text string, spacing Spacing) string {
	if spacing == SpacingExact {
		return text
	}
	t := tidier{words: spacing == SpacingWords}
	return t.push(text) + t.flush()
}

// push takes the next piece and returns what is decided.
func (t *tidier) push(text string) string {
	for _, r := range text {
		switch {
		case isSpace(r):
			t.buf = append(t.buf, r)
		case r == utf8.RuneError || unicode.IsControl(r):
			// Half a character, or one that shows nothing.
		default:
			t.buf = append(t.buf, r)
		}
	}
	return t.run(false)
}

// flush ends the text: space that is left at the end goes.
func (t *tidier) flush() string { return t.run(true) }

func (t *tidier) run(final bool) string {
	var out strings.Builder
	at := 0
	for at < len(t.buf) {
		if r := t.buf[at]; !isSpace(r) {
			t.emit(&out, r)
			at++
			continue
		}
		end := at
		for end < len(t.buf) && isSpace(t.buf[end]) {
			end++
		}
		if end == len(t.buf) {
			if final {
				at = end
			}
			break
		}
		space, decided := t.between(t.buf[at:end], t.buf[end:], final)
		if !decided {
			break
		}
		for _, r := range space {
			t.emit(&out, r)
		}
		at = end
	}
	t.buf = append(t.buf[:0], t.buf[at:]...)
	return out.String()
}

func (t *tidier) emit(out *strings.Builder, r rune) {
	out.WriteRune(r)
	if r == '"' {
		t.quoted = !t.quoted
	}
	t.prev2, t.prev = t.prev, r
}

// between decides what becomes of the space that stands before next: "", " ",
// or line breaks. It may ask for more runes to follow first.
func (t *tidier) between(space, next []rune, final bool) (out string, decided bool) {
	glued := t.glued
	t.glued = false
	if t.prev == 0 {
		return "", true
	}
	if breaks := countBreaks(space); breaks > 0 {
		return "\n\n"[:min(breaks, 2)], true
	}
	p, n := t.prev, next[0]
	switch {
	case glued, isWidePunct(p), isWidePunct(n), isDash(p) && isWide(n), isWide(p) && isDash(n):
		return "", true
	case t.words:
		return t.betweenWords(next, final)
	case strings.ContainsRune(",.!?;:", n) && (unicode.IsLetter(p) || unicode.IsDigit(p)):
		// "hello , you", but not " :)", " .net" or " .5".
		if len(next) < 2 && !final {
			return "", false
		}
		if len(next) < 2 || isSpace(next[1]) {
			return "", true
		}
	}
	return " ", true
}

// betweenWords is between for text in which every space is the tokenizer's.
func (t *tidier) betweenWords(next []rune, final bool) (out string, decided bool) {
	p, n := t.prev, next[0]
	switch {
	case isWide(p) && (isWide(n) || unicode.IsDigit(n)), unicode.IsDigit(p) && isWide(n):
		return "", true
	case strings.ContainsRune(",.!?;:)]}%’”", n), strings.ContainsRune("([{‘“", p):
		return "", true
	case strings.ContainsRune(".,:", p) && unicode.IsDigit(t.prev2) && unicode.IsDigit(n): // 3.5, 1,000, 10:30
		return "", true
	case n == '"' && t.quoted, p == '"' && t.quoted: // inside of the quotation marks
		return "", true
	case n == '\'' && unicode.IsLetter(p):
		is, decided := isContraction(next, final)
		if !decided {
			t.glued = false
			return "", false
		}
		if is {
			t.glued = true
			return "", true
		}
	}
	return " ", true
}

// isContraction reports whether next is the end of a word like it's or we'll,
// with or without spaces after the apostrophe.
func isContraction(next []rune, final bool) (is, decided bool) {
	i := 1
	for i < len(next) && isSpace(next[i]) {
		i++
	}
	start := i
	for i < len(next) && i-start < 3 && unicode.IsLetter(next[i]) {
		i++
	}
	if i == len(next) && i-start < 3 && !final {
		return false, false
	}
	word := strings.ToLower(string(next[start:i]))
	return slices.Contains([]string{"s", "t", "m", "d", "re", "ve", "ll"}, word), true
}

func countBreaks(space []rune) int {
	n := 0
	for _, r := range space {
		if r == '\n' {
			n++
		}
	}
	return n
}

// isSpace also takes the spaces that only typesetters use.
func isSpace(r rune) bool { return unicode.IsSpace(r) }

// isWide reports whether r belongs to a script that is written without spaces
// between words, punctuation included.
func isWide(r rune) bool {
	return isWidePunct(r) || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo)
}

// isWidePunct reports whether r is a Chinese or Japanese punctuation mark,
// which brings its own space.
func isWidePunct(r rune) bool {
	return r > 0x3000 && r <= 0x303F || r >= 0xFF01 && r <= 0xFF0F || r >= 0xFF1A && r <= 0xFF20 ||
		r >= 0xFF3B && r <= 0xFF40 || r >= 0xFF5B && r <= 0xFF65
}

// isDash takes marks that both scripts use; beside Chinese they are Chinese.
func isDash(r rune) bool { return strings.ContainsRune("“”‘’…—·", r) }
