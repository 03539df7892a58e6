package tokenizer

import (
	"sync"
	"unicode"
	"unicode/utf8"
)

// class is what GPT-2's pattern distinguishes characters by.
type class uint8

const (
	classOther  class = iota // neither of the following, invalid UTF-8 included
	classLetter              // \p{L}
	classNumber              // \p{N}
	classSpace               // \s, Unicode's White_Space
)

// classOf looks a character up in the Unicode tables of the Go release in use.
func classOf(r rune) class {
	switch {
	case unicode.IsLetter(r):
		return classLetter
	case unicode.IsNumber(r):
		return classNumber
	case unicode.IsSpace(r):
		return classSpace
	}
	return classOther
}

// classTable holds the classes of the basic multilingual plane, where nearly all
// text lives: one load instead of a search in the Unicode tables.
type classTable [0x10000]class

var basicPlane = sync.OnceValue(func() *classTable {
	t := new(classTable)
	for r := range rune(len(t)) {
		t[r] = classOf(r)
	}
	return t
})

// at returns the class and the length in bytes of the character at s[i]. A byte that
// is not part of valid UTF-8 is a character of its own, as U+FFFD would be.
func (t *classTable) at(s string, i int) (class, int) {
	c := s[i]
	if c < utf8.RuneSelf {
		return t[c], 1
	}
	// Three-byte sequences that start with E1..EC, EE or EF need no check beyond
	// their two continuation bytes; nearly all Chinese text is of that kind.
	if c > 0xE0 && c < 0xF0 && c != 0xED && i+2 < len(s) && s[i+1]&0xC0 == 0x80 && s[i+2]&0xC0 == 0x80 {
		return t[uint16(c)<<12|uint16(s[i+1]&0x3F)<<6|uint16(s[i+2]&0x3F)], 3
	}
	r, n := utf8.DecodeRuneInString(s[i:])
	if int(r) < len(t) {
		return t[r], n
	}
	return classOf(r), n
}

// run returns the end of the run of characters of class k that starts at s[i:].
func (t *classTable) run(s string, i int, k class) int {
	for i < len(s) {
		c, n := t.at(s, i)
		if c != k {
			break
		}
		i += n
	}
	return i
}

// wordEnd returns the end of the first word of s, which must not be empty, as
// GPT-2's pattern cuts it:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// The last two alternatives say: a run of white space before more text leaves its
// last character for the next word, unless that is all it has. (The pattern is that
// of OpenAI's GPT-2 encoder; the code is this package's own.)
func (t *classTable) wordEnd(s string) int {
	if s[0] == '\'' {
		if n := contraction(s); n > 0 {
			return n
		}
	}
	i := 0
	k, n := t.at(s, 0)
	if s[0] == ' ' && len(s) > 1 {
		i = 1
		k, n = t.at(s, 1)
	}
	if k != classSpace {
		return t.run(s, i+n, k)
	}
	return t.spaces(s)
}

// spaces returns the end of the word at the start of s, a run of white space.
func (t *classTable) spaces(s string) int {
	last, i := 0, 0 // last is where the latest character of the run starts
	for i < len(s) {
		k, n := t.at(s, i)
		if k != classSpace {
			if last > 0 {
				return last
			}
			return i
		}
		last = i
		i += n
	}
	return i
}

// contraction returns the length of the English contraction that s, which starts
// with an apostrophe, starts with; 0 if there is none. Lower case only, as in GPT-2.
func contraction(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case 's', 't', 'm', 'd':
		return 2
	case 'r', 'v':
		if len(s) > 2 && s[2] == 'e' {
			return 3
		}
	case 'l':
		if len(s) > 2 && s[2] == 'l' {
			return 3
		}
	}
	return 0
}
