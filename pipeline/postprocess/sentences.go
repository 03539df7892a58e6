package postprocess

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentenceHolder passes whole sentences on and holds back the one that is
// being written. It keeps the whole text: whether a full stop ends a sentence
// depends on what stands before it.
type sentenceHolder struct {
	text  string
	shown int // bytes of text passed on
}

// push takes the next piece and returns the sentences that it completes.
func (s *sentenceHolder) push(text string) string {
	s.text += text
	return s.show(max(s.shown, sentenceEnd(s.text, false)))
}

// flush ends the text. When it was cut off, a last half sentence is dropped,
// unless it is all there is.
func (s *sentenceHolder) flush(cut bool) string {
	if cut {
		if end := max(s.shown, sentenceEnd(s.text, true)); end > 0 {
			return s.show(end)
		}
	}
	return s.show(len(s.text))
}

func (s *sentenceHolder) show(end int) string {
	out := s.text[s.shown:end]
	s.shown = end
	return out
}

const (
	sentenceEnders  = "。！？!?…～~"
	sentenceClosers = "」』”’\"')）】》]"
)

// abbreviations end in a full stop that ends no sentence.
var abbreviations = []string{"Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "e.g", "i.e", "No", "Jr", "Sr"}

// sentenceEnd is the length in bytes of the whole sentences that text starts
// with, quotation marks and brackets that close them included; a line break
// ends one too. final says that nothing follows text: otherwise a full stop at
// its very end may yet be one within a number or a name. What is a whole
// sentence stays one, whatever follows.
func sentenceEnd(text string, final bool) int {
	end := 0
	closing := false // only closing marks since the last end
	for i, r := range text {
		next := i + utf8.RuneLen(r)
		if r == utf8.RuneError { // RuneLen of U+FFFD is 3, of an invalid byte 1
			_, size := utf8.DecodeRuneInString(text[i:])
			next = i + size
		}
		switch {
		case r == '\n' && i > 0:
			end, closing = max(end, i), false
		case strings.ContainsRune(sentenceEnders, r), r == '.' && endsAtStop(text[:i], text[next:], final):
			end, closing = next, true
		case closing && strings.ContainsRune(sentenceClosers, r):
			end = next
		default:
			closing = false
		}
	}
	return end
}

// endsAtStop reports whether the full stop between before and after ends a
// sentence.
func endsAtStop(before, after string, final bool) bool {
	r, _ := utf8.DecodeRuneInString(after)
	switch {
	case after == "" && !final:
		return false
	case after != "" && !unicode.IsSpace(r) && !strings.ContainsRune(sentenceClosers, r) && !isWide(r):
		return false
	}
	word := strings.TrimLeft(lastWord(before), "(\"'“‘[")
	switch {
	case slices.Contains(abbreviations, word):
		return false
	case len(word) == 1 && unicode.IsLetter(rune(word[0])) && word != "I": // an initial
		return false
	case word != "" && strings.Trim(word, "0123456789") == "":
		// "3." may go on as 3.5, and at the start of a line it numbers a list.
		line := before[:len(before)-len(word)]
		return after != "" && line != "" && !strings.HasSuffix(line, "\n")
	}
	return true
}

// lastWord is what stands after the last space or Chinese character of text.
func lastWord(text string) string {
	i := strings.LastIndexFunc(text, func(r rune) bool { return unicode.IsSpace(r) || isWide(r) })
	if i < 0 {
		return text
	}
	_, size := utf8.DecodeRuneInString(text[i:])
	return text[i+size:]
}
