package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text as a whole, before any splitting
// into words: a special one, or one that somebody added to a finished vocabulary.
// The flags are those of Hugging Face's AddedToken.
type addedToken struct {
	content    string
	id         int32
	special    bool
	singleWord bool // only where no letter, digit or _ touches it
	lstrip     bool // swallows white space on its left
	rstrip     bool // and on its right
	normalized bool // is looked for in the normalised text, not in the raw one
}

// addedTokens holds the added tokens of a vocabulary. A nil one is empty.
type addedTokens struct {
	byID map[int32]addedToken
	ids  map[string]int32
	// Tokens to find in the raw text, and, in what remains, in the normalised text.
	raw, normalized finder
}

func newAddedTokens(tokens []addedToken) *addedTokens {
	a := &addedTokens{byID: map[int32]addedToken{}, ids: map[string]int32{}}
	for _, t := range tokens {
		a.byID[t.id] = t
		a.ids[t.content] = t.id
	}
	for _, t := range a.byID {
		if t.normalized {
			a.normalized.add(t)
		} else {
			a.raw.add(t)
		}
	}
	return a
}

func (a *addedTokens) is(id int32) bool {
	if a == nil {
		return false
	}
	_, ok := a.byID[id]
	return ok
}

func (a *addedTokens) isSpecial(id int32) bool { return a != nil && a.byID[id].special }

func (a *addedTokens) specialID(name string) (int32, bool) {
	if a == nil {
		return 0, false
	}
	id, ok := a.ids[name]
	return id, ok && a.byID[id].special
}

// encoder appends the ids of a stretch of text.
type encoder func(dst []int32, text string) []int32

// encode appends the ids of text: added tokens as such (special ones only if the
// caller asks), the rest by way of plain.
func (a *addedTokens) encode(dst []int32, text string, special bool, plain encoder) []int32 {
	if a == nil {
		return plain(dst, text)
	}
	return a.raw.split(dst, text, special, func(dst []int32, text string) []int32 {
		return a.normalized.split(dst, text, special, plain)
	})
}

// finder looks for many tokens at once: a trie over their bytes. The leftmost match
// wins and, of those, the longest.
type finder struct {
	tokens []addedToken
	nodes  []trieNode // nodes[0] is the root; empty when there is nothing to find
	first  [256]bool  // the bytes a token starts with
	plain  bool       // there are tokens that are not special
}

type trieNode struct {
	next  map[byte]int32
	token int32 // index of the token that ends here, or noToken
}

func (f *finder) add(t addedToken) {
	if t.content == "" {
		return
	}
	if len(f.nodes) == 0 {
		f.nodes = append(f.nodes, trieNode{token: noToken})
	}
	at := int32(0)
	for i := range len(t.content) {
		c := t.content[i]
		next, ok := f.nodes[at].next[c]
		if !ok {
			next = int32(len(f.nodes))
			f.nodes = append(f.nodes, trieNode{token: noToken})
			if f.nodes[at].next == nil {
				f.nodes[at].next = map[byte]int32{}
			}
			f.nodes[at].next[c] = next
		}
		at = next
	}
	f.nodes[at].token = int32(len(f.tokens))
	f.tokens = append(f.tokens, t)
	f.first[t.content[0]] = true
	f.plain = f.plain || !t.special
}

// longest returns the longest token that s starts with, or nil.
func (f *finder) longest(s string) *addedToken {
	var found *addedToken
	at, ok := int32(0), true
	for i := 0; i < len(s); i++ {
		if at, ok = f.nodes[at].next[s[i]]; !ok {
			break
		}
		if k := f.nodes[at].token; k != noToken {
			found = &f.tokens[k]
		}
	}
	return found
}

// split appends the ids of text: those of the tokens found in it, and what rest
// makes of the stretches between them.
func (f *finder) split(dst []int32, text string, special bool, rest encoder) []int32 {
	if len(f.nodes) == 0 || !special && !f.plain {
		return rest(dst, text)
	}
	done := 0 // text[:done] is encoded
	for i := 0; i < len(text); {
		if !f.first[text[i]] {
			i++
			continue
		}
		t := f.longest(text[i:])
		if t == nil {
			i++
			continue
		}
		start, end := i, i+len(t.content)
		i = end
		if t.special && !special || t.singleWord && insideWord(text, start, end) {
			continue
		}
		if t.lstrip {
			start = max(done, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if t.rstrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
			i = end
		}
		if done < start {
			dst = rest(dst, text[done:start])
		}
		dst = append(dst, t.id)
		done = end
	}
	if done < len(text) {
		dst = rest(dst, text[done:])
	}
	return dst
}

// insideWord reports whether a character of a word touches text[start:end].
func insideWord(text string, start, end int) bool {
	before, n := utf8.DecodeLastRuneInString(text[:start])
	after, m := utf8.DecodeRuneInString(text[end:])
	return n > 0 && isWordRune(before) || m > 0 && isWordRune(after)
}

// isWordRune is \w: letters, marks, decimal digits, connecting punctuation, joiners.
func isWordRune(r rune) bool {
	return unicode.In(r, unicode.L, unicode.Nl, unicode.Other_Alphabetic, unicode.M, unicode.Nd, unicode.Pc, unicode.Join_Control)
}
