package grammar

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"sync"
)

// Automaton is a grammar over a vocabulary. It learns as it is used and may be
// shared by any number of matchers and goroutines.
type Automaton struct {
	grammar    *Grammar
	vocabulary *Vocabulary
	tokens     []int32 // that are enough to complete a rule from each node; noEnd if none are
	heights    []int32 // how deep its calls nest then

	mu     sync.Mutex
	era    int // of the tables: they are thrown away when they are full
	items  map[itemKey]*item
	states map[string]*state
	start  *state
	held   int      // bytes of masks and edges
	work   int      // of the current call
	stack  []*state // of a walk
}

// item is a node with where to go on when its rule ends.
type item struct {
	itemKey
	number uint32 // which item it is of its era
	depth  int32
	need   int32 // tokens that complete it
	known  bool  // the rest is
	edges  []itemEdge
	ends   bool // the text may end here
	mask   *mask
	alone  *state // that holds only this item
}

type itemKey struct {
	node int32
	up   *item // nil: the text ends with the rule
}

type itemEdge struct {
	edge
	up *item
}

// state is a set of items: what all that was written may be the beginning of.
type state struct {
	era   int
	items []*item // in the order of their numbers
	need  int32   // tokens that complete the nearest
	next  []*state
	mask  *mask
}

// dead is where a byte leads that may not come.
var dead = &state{need: noEnd}

// ErrTooComplex ends a text whose grammar leaves so many ways open that looking
// at all of them would hold others up.
var ErrTooComplex = errors.New("the schema leaves too many ways open at once: too many alternatives or optional parts that begin alike")

// maxWork bounds what one call may look at: some tens of milliseconds' worth.
const maxWork = 1 << 21

// Bounds of what an automaton remembers.
const (
	maxStates = 1 << 13
	maxItems  = 1 << 15
	maxHeld   = 1 << 24
)

// NewAutomaton makes an automaton.
func NewAutomaton(g *Grammar, v *Vocabulary) *Automaton {
	a := &Automaton{grammar: g, vocabulary: v, stack: make([]*state, v.all.deep+1)}
	if v.whole {
		a.tokens, a.heights = countAlong(g, v.all), g.heights
	} else {
		a.tokens, a.heights = search(g, v)
	}
	a.renew()
	return a
}

// Shortest is how many tokens are enough for a whole text. ok is false when the
// vocabulary cannot write one.
func (a *Automaton) Shortest() (n int, ok bool) {
	n = int(a.tokens[a.grammar.start])
	return n, n < int(noEnd)
}

// renew forgets everything.
func (a *Automaton) renew() {
	a.era++
	a.held = 0
	a.items, a.states = map[itemKey]*item{}, map[string]*state{}
	a.start = a.state([]*item{a.item(a.grammar.start, nil)})
}

// current is a state in the tables of this era.
func (a *Automaton) current(s *state) *state {
	if len(a.states) > maxStates || len(a.items) > maxItems || a.held > maxHeld {
		a.renew()
	}
	if s.era == a.era {
		return s
	}
	var again func(i *item) *item
	again = func(i *item) *item {
		if i == nil {
			return nil
		}
		return a.item(i.node, again(i.up))
	}
	items := make([]*item, len(s.items))
	for i, old := range s.items {
		items[i] = again(old)
	}
	return a.state(items)
}

// item is the item of a node, nil when nothing completes it or it is too deep. A
// rule that can only end has ended.
func (a *Automaton) item(n int32, up *item) *item {
	if up != nil && a.grammar.nodes[n].final() {
		return up
	}
	key := itemKey{n, up}
	if i, ok := a.items[key]; ok {
		return i
	}
	i := &item{itemKey: key, number: uint32(len(a.items)), need: a.tokens[n]}
	if up != nil {
		i.depth, i.need = up.depth+1, min(i.need+up.need, noEnd)
	}
	if a.grammar.lengths[n] == noEnd || i.depth+a.heights[n] > MaxDepth {
		i = nil
	}
	a.items[key] = i
	return i
}

// expand finds what may come next after an item, or nothing when that is too
// much work.
func (a *Automaton) expand(i *item) {
	if i.known || a.work > maxWork {
		return
	}
	defer func() {
		const edgeBytes = 24
		a.work += edgeBytes / 2 * len(i.edges) // they are kept
		a.held += edgeBytes * len(i.edges)
	}()
	i.known = true
	todo, seen := []*item{i}, map[*item]bool{i: true, nil: true}
	add := func(next *item) {
		if !seen[next] {
			seen[next] = true
			todo = append(todo, next)
		}
	}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		n := &a.grammar.nodes[at.node]
		for _, e := range n.edges {
			i.edges = append(i.edges, itemEdge{e, at.up})
		}
		for _, to := range n.skips {
			add(a.item(to, at.up))
		}
		for _, c := range n.calls {
			if back := a.item(c.next, at.up); a.grammar.nodes[c.next].final() {
				add(a.item(c.rule, at.up)) // nothing needs to come back
			} else if back != nil {
				add(a.item(c.rule, back))
			}
		}
		if n.end && at.up != nil {
			add(at.up)
		}
		i.ends = i.ends || n.end && at.up == nil
	}
}

// state is the state of some items, whose order does not matter.
func (a *Automaton) state(items []*item) *state {
	items = slices.DeleteFunc(items, func(i *item) bool { return i == nil })
	if len(items) == 0 {
		return dead
	}
	slices.SortFunc(items, func(i, j *item) int { return int(i.number) - int(j.number) })
	items = slices.Compact(items)
	var key strings.Builder
	for _, i := range items {
		key.Write(binary.LittleEndian.AppendUint32(nil, i.number))
	}
	if s, ok := a.states[key.String()]; ok {
		return s
	}
	s := &state{era: a.era, items: slices.Clone(items), need: noEnd}
	for _, i := range items {
		s.need = min(s.need, i.need)
	}
	a.states[key.String()] = s
	return s
}

// step is the state after one more byte, dead if it may not come.
func (a *Automaton) step(s *state, b byte) *state {
	if s == dead {
		return dead
	}
	class := a.grammar.classes[b]
	if s.next == nil {
		s.next = make([]*state, len(a.grammar.samples))
	} else if next := s.next[class]; next != nil {
		return next
	}
	var items []*item
	for _, i := range s.items {
		a.expand(i)
		if a.work += len(i.edges) + 1; a.work > maxWork {
			return dead // for now
		}
		for _, e := range i.edges {
			if e.low <= b && b <= e.high {
				items = append(items, a.item(e.to, e.up))
			}
		}
	}
	s.next[class] = a.state(items)
	return s.next[class]
}
