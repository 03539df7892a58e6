package tokenizer

// A longMerge merges a word of any length in O(n log n): the tokens are a doubly
// linked list, and a heap holds every pair that has a rank, by rank and position.
// A pair whose neighbours have changed since stays in the heap and is recognised as
// stale when it comes up.
type longMerge struct {
	ids        []int32
	prev, next []int32 // positions; -1 at the ends
	heap       []uint64
}

// merge appends the tokens of word.
func (m *longMerge) merge(t *BPE, dst []int32, word string) []int32 {
	m.ids = t.start(m.ids[:0], word)
	m.link()
	for i := range len(m.ids) - 1 {
		if rank := t.pairs.rank(m.ids[i], m.ids[i+1]); rank != noRank {
			m.heap = append(m.heap, heapKey(rank, int32(i)))
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		m.step(t)
	}
	for i := int32(0); i >= 0 && int(i) < len(m.ids); i = m.next[i] {
		dst = append(dst, m.ids[i])
	}
	return dst
}

// heapKey orders pairs by rank, then by position from the left.
func heapKey(rank, at int32) uint64 { return uint64(uint32(rank))<<32 | uint64(uint32(at)) }

// link makes the list of all tokens and empties the heap.
func (m *longMerge) link() {
	m.prev, m.next, m.heap = m.prev[:0], m.next[:0], m.heap[:0]
	for i := range m.ids {
		m.prev = append(m.prev, int32(i)-1)
		m.next = append(m.next, int32(i)+1)
	}
	if n := len(m.ids); n > 0 {
		m.next[n-1] = -1
	}
}

// step takes the best pair from the heap and, unless it is stale, merges it.
func (m *longMerge) step(t *BPE) {
	key := m.pop()
	rank, at := int32(key>>32), int32(uint32(key))
	right := m.next[at]
	// A token that has been merged into its left neighbour has id noToken.
	if m.ids[at] == noToken || right < 0 || t.pairs.rank(m.ids[at], m.ids[right]) != rank {
		return
	}
	m.ids[at] = t.merges[rank].id
	m.ids[right] = noToken
	m.next[at] = m.next[right]
	if m.next[at] >= 0 {
		m.prev[m.next[at]] = at
		m.push(t, at, m.next[at])
	}
	if m.prev[at] >= 0 {
		m.push(t, m.prev[at], at)
	}
}

// push adds the pair of the neighbours at left and right, if it has a rank.
func (m *longMerge) push(t *BPE, left, right int32) {
	rank := t.pairs.rank(m.ids[left], m.ids[right])
	if rank == noRank {
		return
	}
	m.heap = append(m.heap, heapKey(rank, left))
	i := len(m.heap) - 1
	for i > 0 && m.heap[i] < m.heap[(i-1)/2] {
		m.heap[i], m.heap[(i-1)/2] = m.heap[(i-1)/2], m.heap[i]
		i = (i - 1) / 2
	}
}

// pop removes the least key of the heap.
func (m *longMerge) pop() uint64 {
	least := m.heap[0]
	last := len(m.heap) - 1
	m.heap[0] = m.heap[last]
	m.heap = m.heap[:last]
	m.down(0)
	return least
}

// down restores the order of the heap below i.
func (m *longMerge) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(m.heap) {
			return
		}
		if child+1 < len(m.heap) && m.heap[child+1] < m.heap[child] {
			child++
		}
		if m.heap[i] <= m.heap[child] {
			return
		}
		m.heap[i], m.heap[child] = m.heap[child], m.heap[i]
		i = child
	}
}
