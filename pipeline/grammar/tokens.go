package grammar

// counter counts the tokens that complete a rule from each node, for a
// vocabulary that has every byte: then the shortest text can be written, and the
// fewest tokens that spell it are enough. Tokens do not span calls here, so
// counts add up along a stack.
type counter struct {
	*Grammar
	trie   *trie
	tokens []int32 // -1 where not known yet
}

func countAlong(g *Grammar, t *trie) []int32 {
	c := &counter{Grammar: g, trie: t, tokens: make([]int32, len(g.nodes))}
	for n := range c.tokens {
		c.tokens[n] = -1
	}
	// A node's way may be long: follow it to what is known, and come back.
	var path []int32
	for n := range c.tokens {
		path = append(path[:0], int32(n))
		for len(path) > 0 {
			at := path[len(path)-1]
			if open := c.unknown(at); open >= 0 {
				path = append(path, open)
				continue
			}
			path = path[:len(path)-1]
			if c.tokens[at] < 0 {
				c.tokens[at] = c.fewest(at)
			}
		}
	}
	return c.tokens
}

// unknown is a node that must be counted before n, -1 when there is none.
func (c *counter) unknown(n int32) int32 {
	if c.tokens[n] >= 0 || c.lengths[n] == noEnd {
		return -1
	}
	w := c.ways[n]
	if w.step != stay && c.tokens[w.to] < 0 {
		return w.to
	}
	if w.step == throughCall && c.tokens[w.rule] < 0 {
		return w.rule
	}
	return -1
}

// fewest counts when all that follows is counted.
func (c *counter) fewest(n int32) int32 {
	switch w := c.ways[n]; {
	case c.lengths[n] == noEnd:
		return noEnd
	case w.step == stay:
		return 0
	case w.step == pastSkip:
		return c.tokens[w.to]
	case w.step == throughCall:
		return min(c.tokens[w.rule]+c.tokens[w.to], noEnd-1)
	}
	best, at := noEnd, int32(-1)
	for {
		w := c.ways[n]
		if w.step == pastSkip {
			n = w.to
			continue
		}
		if w.step != overEdge {
			return best
		}
		if at = c.trie.child(at, w.by); at < 0 {
			return best
		}
		if n = w.to; c.trie.isToken(at) {
			best = min(best, c.tokens[n]+1)
		}
	}
}

// maxSearched bounds the work of search.
const maxSearched = 1 << 13

// search does the same for a vocabulary that lacks bytes, so that not every text can
// be written: it measures a grammar whose edges are whole tokens. Where it
// finds no end, noEnd stands.
func search(g *Grammar, v *Vocabulary) (tokens, heights []int32) {
	// The nodes without their calls are an automaton that finds what tokens lead to.
	local := &Grammar{nodes: make([]node, len(g.nodes)), shortest: shortest{lengths: make([]int32, len(g.nodes))}, classes: g.classes, samples: g.samples}
	for n := range g.nodes {
		local.nodes[n] = node{edges: g.nodes[n].edges, skips: g.nodes[n].skips, text: none}
	}
	a := &Automaton{grammar: local, vocabulary: v, tokens: make([]int32, len(g.nodes)), heights: make([]int32, len(g.nodes)), stack: make([]*state, v.all.deep+1)}
	a.renew()

	whole := make([]node, len(g.nodes)) // those with tokens for edges
	for n := range whole {
		whole[n].text = none
	}
	todo, met := []int32{g.start}, map[int32]bool{g.start: true}
	for len(todo) > 0 && len(met) < maxSearched {
		n := todo[0]
		todo = todo[1:]
		whole[n] = node{skips: g.nodes[n].skips, calls: g.nodes[n].calls, end: g.nodes[n].end, text: none}
		a.current(a.start)
		a.work = 0
		for _, to := range a.targets(n) {
			whole[n].edges = append(whole[n].edges, edge{to: to})
		}
		for _, next := range whole[n].leads() {
			if !met[next] {
				met[next] = true
				todo = append(todo, next)
			}
		}
	}
	s := measure(whole)
	return s.lengths, s.heights
}

// targets are the nodes that a token leads to from n.
func (a *Automaton) targets(n int32) (out []int32) {
	seen := map[int32]bool{}
	a.each(a.vocabulary.all, a.state([]*item{a.item(n, nil)}), func(s *state, _ []int32) {
		for _, i := range s.items {
			if !seen[i.node] {
				seen[i.node] = true
				out = append(out, i.node)
			}
		}
	})
	return out
}
