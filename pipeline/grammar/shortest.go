package grammar

import "container/heap"

// noEnd is the length of the shortest way to a rule's end where there is none.
const noEnd = int32(1 << 30)

// MaxDepth is how deep rules call each other, which bounds the nesting of what
// is written: an object in an object takes one or two.
const MaxDepth = 64

// way is the first step of the shortest text to a rule's end: over an edge (with
// a byte), through a call, or past a skip. The zero value is no step: the rule
// ends.
type way struct {
	step step
	by   byte
	to   int32
	rule int32 // of a call
}

type step byte

const (
	stay step = iota
	overEdge
	pastSkip
	throughCall
)

// shortest is the shortest text from every node to its rule's end.
type shortest struct {
	lengths []int32 // of edges; noEnd if there is none
	ways    []way   // the first step of it
	heights []int32 // how deep its calls nest
}

// measure finds the shortest text from every node. A call
// costs the length of the called rule, so this is Knuth's generalization of
// Dijkstra's algorithm to grammars (Information Processing Letters 6, 1977):
// nodes are settled in the order of their lengths, and a call counts when both
// its rule and what follows are settled.
func measure(nodes []node) shortest {
	m := &meter{
		nodes: nodes, before: make([][]int32, len(nodes)), settled: make([]bool, len(nodes)),
		shortest: shortest{lengths: make([]int32, len(nodes)), ways: make([]way, len(nodes)), heights: make([]int32, len(nodes))},
	}
	for n := range nodes {
		m.lengths[n] = noEnd
		for _, to := range nodes[n].leads() {
			m.before[to] = append(m.before[to], int32(n))
		}
	}
	for n := range nodes {
		if nodes[n].end {
			m.improve(int32(n), 0, way{}, 0)
		}
	}
	for len(m.queue) > 0 {
		next := heap.Pop(&m.queue).(measured)
		if m.settled[next.node] {
			continue
		}
		m.settled[next.node] = true
		for _, n := range m.before[next.node] {
			m.relax(n)
		}
	}
	return m.shortest
}

// leads are all the nodes that a node's length depends on.
func (n *node) leads() (out []int32) {
	for _, e := range n.edges {
		out = append(out, e.to)
	}
	out = append(out, n.skips...)
	for _, c := range n.calls {
		out = append(out, c.rule, c.next)
	}
	return out
}

type meter struct {
	shortest
	nodes   []node
	before  [][]int32 // the nodes whose length depends on each
	settled []bool
	queue   queue
}

// relax looks for a shorter way from a node over what is settled.
func (m *meter) relax(n int32) {
	if m.settled[n] {
		return
	}
	for _, e := range m.nodes[n].edges {
		if m.settled[e.to] {
			m.improve(n, 1+m.lengths[e.to], way{step: overEdge, by: e.sample(), to: e.to}, m.heights[e.to])
		}
	}
	for _, to := range m.nodes[n].skips {
		if m.settled[to] {
			m.improve(n, m.lengths[to], way{step: pastSkip, to: to}, m.heights[to])
		}
	}
	for _, c := range m.nodes[n].calls {
		if m.settled[c.rule] && m.settled[c.next] {
			deeper := int32(1)
			if m.nodes[c.next].final() {
				deeper = 0 // nothing needs to come back
			}
			m.improve(n, m.lengths[c.rule]+m.lengths[c.next], way{step: throughCall, to: c.next, rule: c.rule},
				max(deeper+m.heights[c.rule], m.heights[c.next]))
		}
	}
}

func (m *meter) improve(n, length int32, w way, height int32) {
	if length = min(length, noEnd-1); length < m.lengths[n] {
		m.lengths[n], m.ways[n], m.heights[n] = length, w, height
		heap.Push(&m.queue, measured{n, length})
	}
}

// sample is the byte of an edge that reads best.
func (e edge) sample() byte {
	for _, b := range []byte("a0A") {
		if e.low <= b && b <= e.high {
			return b
		}
	}
	return e.low
}

// measured is a node with the length of a way from it.
type measured struct{ node, length int32 }

type queue []measured

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].length < q[j].length || q[i].length == q[j].length && q[i].node < q[j].node
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(measured)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// classify numbers the bytes so that those that no edge tells apart share one.
func (g *Grammar) classify() {
	var starts [257]bool
	starts[0] = true
	for i := range g.nodes {
		for _, e := range g.nodes[i].edges {
			starts[e.low], starts[int(e.high)+1] = true, true
		}
	}
	for b := range 256 {
		if starts[b] {
			g.samples = append(g.samples, byte(b))
		}
		g.classes[b] = byte(len(g.samples) - 1)
	}
}
