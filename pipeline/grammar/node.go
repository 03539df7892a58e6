package grammar

import "unicode/utf8"

// node is a place in a rule: what may come next there. A rule is named by its
// first node and ends at any node with end.
type node struct {
	edges []edge
	skips []int32 // nodes that are reached without a byte
	calls []call
	end   bool
	// text is the node that follows one more character, in a string where any may
	// come; none elsewhere. Nothing but a character or a quote may come there.
	text int32
}

// edge leads on with a byte of a range.
type edge struct {
	low, high byte
	to        int32
}

// call leads through another rule.
type call struct{ rule, next int32 }

const none = int32(-1)

// final tells whether a rule can only end here.
func (n *node) final() bool {
	return n.end && len(n.edges) == 0 && len(n.skips) == 0 && len(n.calls) == 0
}

// maxNodes bounds what one schema may ask for.
const maxNodes = 1 << 17

// builder makes nodes. Methods that take one node return the node they lead to.
type builder struct {
	nodes []node
	full  bool
}

func (b *builder) node() int32 {
	if len(b.nodes) >= maxNodes {
		b.full = true // what is built from here on is thrown away
		return int32(len(b.nodes) - 1)
	}
	b.nodes = append(b.nodes, node{text: none})
	return int32(len(b.nodes) - 1)
}

func (b *builder) final() int32 {
	n := b.node()
	b.nodes[n].end = true
	return n
}

func (b *builder) bytes(from int32, low, high byte, to int32) {
	b.nodes[from].edges = append(b.nodes[from].edges, edge{low, high, to})
}

func (b *builder) skip(from, to int32) {
	b.nodes[from].skips = append(b.nodes[from].skips, to)
}

func (b *builder) call(from, rule, to int32) {
	b.nodes[from].calls = append(b.nodes[from].calls, call{rule, to})
}

// literal spells s.
func (b *builder) literal(from int32, s string) int32 {
	for i := range len(s) {
		to := b.node()
		b.bytes(from, s[i], s[i], to)
		from = to
	}
	return from
}

// separator is a colon or a comma, with a space behind it or without.
func (b *builder) separator(from int32, mark string) int32 {
	mark1 := b.literal(from, mark)
	to := b.literal(mark1, " ")
	b.skip(mark1, to)
	return to
}

// literals spells one of several texts, which share the nodes of their
// beginnings.
func (b *builder) literals(from int32, texts []string, to int32) {
	next := map[byte][]string{}
	var order []byte
	for _, s := range texts {
		if s == "" {
			b.skip(from, to)
			continue
		}
		if next[s[0]] == nil {
			order = append(order, s[0])
		}
		next[s[0]] = append(next[s[0]], s[1:])
	}
	for _, first := range order {
		n := b.node()
		b.bytes(from, first, first, n)
		if b.full {
			return
		}
		b.literals(n, next[first], to)
	}
}

// runes leads on with one character of the given ranges, in UTF-8. Surrogates
// are no characters.
func (b *builder) runes(from int32, ranges []runeRange, to int32) {
	for _, r := range ranges {
		for _, p := range [][2]rune{{0, 0xD7FF}, {0xE000, utf8.MaxRune}} {
			if low, high := max(r.low, p[0]), min(r.high, p[1]); low <= high {
				b.utf8(from, low, high, to)
			}
		}
	}
}

type runeRange struct{ low, high rune }

// utf8 splits a range until the bytes of its characters are independent ranges:
// first where their number of bytes changes, then where the last six bits do
// not run from all zeros to all ones.
func (b *builder) utf8(from int32, low, high rune, to int32) {
	for _, last := range []rune{0x7F, 0x7FF, 0xFFFF} {
		if low <= last && last < high {
			b.utf8(from, low, last, to)
			b.utf8(from, last+1, high, to)
			return
		}
	}
	for shift := 6; shift < 6*utf8.RuneLen(high); shift += 6 {
		rest := rune(1)<<shift - 1
		if low&^rest == high&^rest {
			break
		}
		if low&rest != 0 {
			b.utf8(from, low, low|rest, to)
			b.utf8(from, low|rest+1, high, to)
			return
		}
		if high&rest != rest {
			b.utf8(from, low, high&^rest-1, to)
			b.utf8(from, high&^rest, high, to)
			return
		}
	}
	var first, last [utf8.UTFMax]byte
	n := utf8.EncodeRune(first[:], low)
	utf8.EncodeRune(last[:], high)
	for i := range n {
		next := to
		if i < n-1 {
			next = b.node()
		}
		b.bytes(from, first[i], last[i], next)
		from = next
	}
}
