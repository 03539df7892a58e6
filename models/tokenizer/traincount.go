package tokenizer

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// maxCounted is the longest stretch of a word, in characters, that is counted in one
// piece. A Chinese clause is one word to GPT-2's pattern, and nearly every clause of a
// corpus is different: whole, they would fill the memory without showing the trainer
// any pair that their parts do not show. (Only counting works on parts; the encoder
// merges whole words.)
const maxCounted = 16

// wordCounts counts words, at most limit different ones at a time.
type wordCounts struct {
	counts map[string]*int64
	limit  int
}

// countWords counts the words of texts, long ones in parts.
func countWords(texts iter.Seq[string], limit int) map[string]*int64 {
	classes := basicPlane()
	w := wordCounts{map[string]*int64{}, limit}
	for text := range texts {
		for text != "" {
			n := classes.wordEnd(text)
			for word := text[:n]; word != ""; {
				part := word[:prefixEnd(word, maxCounted)]
				w.add(part)
				word = word[len(part):]
			}
			text = text[n:]
		}
	}
	return w.counts
}

func (w *wordCounts) add(word string) {
	if c := w.counts[word]; c != nil {
		*c++
		return
	}
	if len(w.counts) >= w.limit {
		w.prune()
	}
	c := int64(1)
	w.counts[strings.Clone(word)] = &c // word itself would keep all of its text alive
}

// prune drops the rarest words until half of the limit is free.
func (w *wordCounts) prune() {
	for least := int64(2); len(w.counts) > w.limit/2; least++ {
		for word, c := range w.counts {
			if *c < least {
				delete(w.counts, word)
			}
		}
	}
}

// prefixEnd returns the length in bytes of the first n characters of s, or len(s).
func prefixEnd(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}
