package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalize does what BERT does to a text before it is split: it drops control
// characters and makes all white space a plain space, puts spaces around Chinese
// characters, takes accents off and lower-cases, each if its option says so.
//
// Character classes are those of the Unicode version of the Go release in use. (Those
// of Hugging Face's library are older in part; they differ in rare scripts only.)
func (o *wordPieceOptions) normalize(text string) string {
	out := make([]byte, 0, len(text)+len(text)/2)
	accents := false // is there anything that could carry an accent?
	for _, r := range text {
		if o.cleanText {
			if r = cleanRune(r); r < 0 {
				continue
			}
		}
		switch {
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case o.spaceHan && isChinese(r):
			out = append(out, ' ')
			out = utf8.AppendRune(out, r)
			out = append(out, ' ')
			accents = accents || r >= 0xF900 // compatibility characters decompose
		default:
			out = utf8.AppendRune(out, r)
			accents = true
		}
	}
	if o.stripAccents && accents {
		out = stripAccents(out)
	}
	if o.lowerCase {
		out = lowerCase(out)
	}
	return string(out)
}

// cleanRune returns what cleaning makes of r: itself, a space, or -1 for nothing.
func cleanRune(r rune) rune {
	switch {
	case r >= ' ' && r < 0x7F:
		return r
	case r == '\t', r == '\n', r == '\r':
		return ' '
	case r == utf8.RuneError, unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
		return -1
	case unicode.IsSpace(r):
		return ' '
	}
	return r
}

// stripAccents decomposes characters (NFD) and drops the marks that take no room.
func stripAccents(text []byte) []byte {
	out := text[:0:0]
	for decomposed := norm.NFD.Bytes(text); len(decomposed) > 0; {
		r, n := utf8.DecodeRune(decomposed)
		if r < utf8.RuneSelf || !unicode.Is(unicode.Mn, r) {
			out = append(out, decomposed[:n]...)
		}
		decomposed = decomposed[n:]
	}
	return out
}

// lowerCase is Unicode's full lower-casing of single characters: İ becomes two.
func lowerCase(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r >= 'A' && r <= 'Z':
			out = append(out, byte(r)+'a'-'A')
		case r < utf8.RuneSelf:
			out = append(out, byte(r))
		case r == 'İ':
			out = append(out, "i\u0307"...)
		default:
			out = utf8.AppendRune(out, unicode.ToLower(r))
		}
		text = text[n:]
	}
	return out
}
