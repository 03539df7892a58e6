package grammar

import (
	"slices"
	"unicode/utf8"
)

// Matcher follows one text. It is for one goroutine at a time.
type Matcher struct {
	automaton *Automaton
	state     *state
	limit     int32  // of the last Allowed
	last      string // the last character written
	scratch   mask
}

// Matcher is at the start of a text.
func (a *Automaton) Matcher() *Matcher {
	a.mu.Lock()
	defer a.mu.Unlock()
	return &Matcher{automaton: a, state: a.start, limit: noEnd - 1}
}

// enter locks the automaton, which may have forgotten the matcher's state since.
func (m *Matcher) enter() *Automaton {
	m.automaton.mu.Lock()
	m.automaton.work = 0
	m.state = m.automaton.current(m.state)
	return m.automaton
}

// Allowed are the tokens that may come next when left tokens are, that one
// included. When these are enough to complete the text, the tokens are those
// after which the rest is still enough; otherwise all that fit the grammar.
// The set is valid until the next call. The error is [ErrTooComplex].
func (m *Matcher) Allowed(left int) (Mask, error) {
	a := m.enter()
	defer a.mu.Unlock()
	m.limit = noEnd - 1
	if int(m.state.need) <= left {
		m.limit = int32(min(left-1, int(noEnd)-1))
	}
	set := a.allowed(m.state, m.limit, &m.scratch)
	if a.work > maxWork {
		return nil, ErrTooComplex
	}
	return set.bits, nil
}

// Ends reports whether the text may end here.
func (m *Matcher) Ends() bool {
	a := m.enter()
	defer a.mu.Unlock()
	return a.ends(m.state)
}

func (a *Automaton) ends(s *state) bool {
	return slices.ContainsFunc(s.items, func(i *item) bool {
		a.expand(i)
		return i.ends
	})
}

// Done reports whether the text has to end here: it may, and nothing can be
// added that left more tokens make whole. Without any left it has to end only
// where the grammar ends.
func (m *Matcher) Done(left int) bool {
	a := m.enter()
	defer a.mu.Unlock()
	if !a.ends(m.state) {
		return false
	}
	more := slices.ContainsFunc(m.state.items, func(i *item) bool { return len(i.edges) > 0 })
	return !more || left > 0 && Mask(a.allowed(m.state, int32(left-1), &m.scratch).bits).Count() == 0
}

// Accept goes on with a token of the set that Allowed gave and returns its text.
// ok is false, and nothing has changed, when it may not come.
func (m *Matcher) Accept(id int32) (text string, ok bool) {
	a := m.enter()
	defer a.mu.Unlock()
	for _, text := range a.vocabulary.tokens[id].forms(m.last) {
		if s := a.follow(m.state, text); text != "" && s != dead && s.need <= m.limit {
			m.state = s
			_, n := utf8.DecodeLastRuneInString(text)
			m.last = text[len(text)-n:]
			return text, true
		}
	}
	return "", false
}

func (a *Automaton) follow(s *state, text string) *state {
	for i := 0; i < len(text) && s != dead; i++ {
		s = a.step(s, text[i])
	}
	return s
}
