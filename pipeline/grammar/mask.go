package grammar

import "math/bits"

// mask is a set of tokens.
type mask struct {
	bits []uint64
	most int32 // the need of the state that takes the most to complete after one of them
}

// Mask is a set of tokens: bit id%64 of word id/64. It must not be changed.
type Mask []uint64

// Has reports whether a token is in the set.
func (m Mask) Has(id int32) bool { return id >= 0 && int(id/64) < len(m) && m[id/64]>>(id%64)&1 != 0 }

// Count is how many tokens are.
func (m Mask) Count() (n int) {
	for _, w := range m {
		n += bits.OnesCount64(w)
	}
	return n
}

// allowed is the set of tokens after which limit more can complete the text.
// scratch is used where the set is not worth keeping.
func (a *Automaton) allowed(s *state, limit int32, scratch *mask) *mask {
	if m := a.maskOf(s); m.most <= limit {
		return m
	}
	if scratch.bits == nil {
		scratch.bits = a.vocabulary.bits()
	}
	clear(scratch.bits)
	if len(s.items) > manyItems {
		a.walk(a.vocabulary.all, s, limit, scratch)
		return scratch
	}
	for _, i := range s.items {
		a.collect(i, limit, scratch)
	}
	return scratch
}

// manyItems is how many items are too many to look at each on its own.
const manyItems = 8

// maskOf is the set of tokens that may follow at all: for each item on its own,
// because a token may follow a state when it may follow one of its items, and
// an item is met more often than a state.
func (a *Automaton) maskOf(s *state) *mask {
	if s.mask != nil {
		return s.mask
	}
	m := a.newMask()
	switch {
	case len(s.items) == 1:
		m = a.itemMask(s.items[0])
	case len(s.items) > manyItems:
		a.walk(a.vocabulary.all, s, noEnd-1, m)
	default:
		for _, i := range s.items {
			one := a.itemMask(i)
			for w, b := range one.bits {
				m.bits[w] |= b
			}
			m.most = max(m.most, one.most)
		}
	}
	if a.work <= maxWork { // otherwise it is not all of them
		s.mask = m
	}
	return m
}

func (a *Automaton) itemMask(i *item) *mask {
	if i.mask != nil {
		return i.mask
	}
	m := a.newMask()
	a.collect(i, noEnd-1, m)
	if a.work <= maxWork {
		i.mask = m
	}
	return m
}

// newMask is an empty set that is kept.
func (a *Automaton) newMask() *mask {
	m := &mask{bits: a.vocabulary.bits()}
	a.held += 8 * len(m.bits)
	return m
}

// collect adds the tokens that may follow an item.
func (a *Automaton) collect(i *item, limit int32, m *mask) {
	if i.alone == nil {
		i.alone = a.state([]*item{i})
	}
	if a.grammar.nodes[i.node].text == none {
		a.walk(a.vocabulary.all, i.alone, limit, m)
		return
	}
	a.walk(a.vocabulary.other, i.alone, limit, m)
	at := i
	for n := 1; n <= maxPlain; n++ {
		next := a.grammar.nodes[at.node].text
		if next == none {
			return
		}
		if at = a.item(next, at.up); at == nil {
			return
		}
		if at.need > limit {
			continue
		}
		m.most = max(m.most, at.need)
		for w, b := range a.vocabulary.plain[n] {
			m.bits[w] |= b
		}
	}
}

// walk adds the tokens of a trie that lead from a state to one that limit tokens
// complete.
func (a *Automaton) walk(t *trie, from *state, limit int32, m *mask) {
	a.each(t, from, func(s *state, ids []int32) {
		if s.need > limit {
			return
		}
		m.most = max(m.most, s.need)
		for _, id := range ids {
			set(m.bits, id)
		}
	})
}

// each calls f for the tokens of a trie that may follow a state, with the states
// they lead to.
func (a *Automaton) each(t *trie, from *state, f func(s *state, ids []int32)) {
	a.stack[0] = from
	for n := int32(0); int(n) < len(t.bytes); {
		d := t.depth[n]
		s := a.step(a.stack[d], t.bytes[n])
		if s == dead {
			n = t.after[n]
			continue
		}
		a.stack[d+1] = s
		if t.isToken(n) {
			f(s, t.ids[t.first[n]:t.first[n+1]])
		}
		n++
	}
}
