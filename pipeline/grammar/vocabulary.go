package grammar

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Token is what one id of a vocabulary may add to a text.
type Token struct {
	ID   int32
	Text string // bytes, which may begin or end inside a character
	// Spaced says that a space may stand before it: a vocabulary of words has no
	// tokens for spaces. Which it is decides what is allowed, and then what was
	// written before.
	Spaced bool
}

// Vocabulary is a tokenizer's tokens made ready for grammars. It is immutable.
type Vocabulary struct {
	size   int  // ids in all
	whole  bool // every byte is a token
	tokens map[int32]Token
	all    *trie
	// Of tokens that are whole characters that stand for themselves in a JSON
	// string, those with n characters, as bits; and a trie of all other tokens.
	plain [maxPlain + 1][]uint64
	other *trie
}

// maxPlain is how many characters a token may have to count as plain.
const maxPlain = 16

// form is one of the texts of a token.
type form struct {
	text string
	id   int32
}

// NewVocabulary takes the tokens that a reply may be made of: without special
// ones, those that end a reply, and those without text. Ids are below size.
func NewVocabulary(size int, tokens []Token) *Vocabulary {
	v := &Vocabulary{size: size, tokens: make(map[int32]Token, len(tokens))}
	for n := range v.plain {
		v.plain[n] = v.bits()
	}
	var all, other []form
	var bytes [256]bool
	for _, t := range tokens {
		if t.Text == "" {
			continue
		}
		v.tokens[t.ID] = t
		for _, text := range t.forms("") {
			all = append(all, form{text, t.ID})
			if len(text) == 1 {
				bytes[text[0]] = true
			}
			if n := plainLength(text); n > 0 {
				set(v.plain[n], t.ID)
			} else {
				other = append(other, form{text, t.ID})
			}
		}
	}
	v.whole = !slices.Contains(bytes[:], false)
	v.all, v.other = newTrie(all), newTrie(other)
	return v
}

func (v *Vocabulary) bits() []uint64 { return make([]uint64, (v.size+63)/64) }

func set(bits []uint64, id int32) { bits[id/64] |= 1 << (id % 64) }

// plainLength is the number of a plain token's characters, 0 of another one.
func plainLength(s string) int {
	for _, r := range s {
		if !isPlain(r) || r == utf8.RuneError {
			return 0
		}
	}
	if n := utf8.RuneCountInString(s); n <= maxPlain {
		return n
	}
	return 0
}

// forms are a token's texts after the text before it, the better one first:
// words have a space between them, and JSON's marks have none around them.
func (t Token) forms(before string) []string {
	if !t.Spaced {
		return []string{t.Text}
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(t.Text)
	if before == "" || glued(last, `"[{(\/`) || glued(first, `"]}),.:;?!\/`) {
		return []string{t.Text, " " + t.Text}
	}
	return []string{" " + t.Text, t.Text}
}

// glued tells whether a mark needs no space beside it, as those of Chinese text.
func glued(r rune, marks string) bool { return r >= 0x2E80 || strings.ContainsRune(marks, r) }

// trie holds forms by their bytes. Its nodes are numbered depth first, so that
// all below a node follow it.
type trie struct {
	bytes []byte
	depth []uint16
	after []int32 // the next node that is not below
	first []int32 // where a node's ids begin; they end where the next node's do
	ids   []int32
	deep  int
}

// maxTokenBytes is the longest token that may be part of a constrained reply.
const maxTokenBytes = 1 << 10

func newTrie(forms []form) *trie {
	slices.SortFunc(forms, func(a, b form) int { return cmp.Or(cmp.Compare(a.text, b.text), cmp.Compare(a.id, b.id)) })
	t := &trie{}
	var open []int32 // the nodes above
	before := ""
	for _, f := range forms {
		if len(f.text) > maxTokenBytes {
			continue
		}
		common := 0
		for common < min(len(before), len(f.text)) && before[common] == f.text[common] {
			common++
		}
		for _, n := range open[common:] {
			t.after[n] = int32(len(t.bytes))
		}
		open = open[:common]
		for i := common; i < len(f.text); i++ {
			open = append(open, int32(len(t.bytes)))
			t.bytes, t.depth = append(t.bytes, f.text[i]), append(t.depth, uint16(i))
			t.after, t.first = append(t.after, 0), append(t.first, int32(len(t.ids)))
		}
		t.ids = append(t.ids, f.id)
		t.deep = max(t.deep, len(f.text))
		before = f.text
	}
	for _, n := range open {
		t.after[n] = int32(len(t.bytes))
	}
	t.first = append(t.first, int32(len(t.ids)))
	return t
}

// child is the node below n that a byte leads to, -1 if there is none. Below -1 is
// the root.
func (t *trie) child(n int32, b byte) int32 {
	at, end := n+1, int32(len(t.bytes))
	if n >= 0 {
		end = t.after[n]
	}
	for at < end && t.bytes[at] != b {
		at = t.after[at]
	}
	if at < end {
		return at
	}
	return -1
}

// isToken tells whether a token ends at a node.
func (t *trie) isToken(n int32) bool { return t.first[n] < t.first[n+1] }
