package tokenizer

import "math"

// shortMerge merges words of up to shortWord bytes. The tokens are a linked list, each
// at the position where its first byte was. The pair that starts at a position has a
// key, its rank and then the position, so that the least key is the best pair and, of
// equals, the leftmost; the least keys of blocks of eight are kept, so that finding the
// least of all takes few steps.
type shortMerge struct {
	ids        [shortWord]int32
	keys       [shortWord]uint32
	least      [shortWord / block]uint32
	next, prev [shortWord + 1]uint8
}

const (
	shortBits = 7
	shortWord = 1 << shortBits
	block     = 8
	noKey     = uint32(math.MaxUint32)
)

// merge appends the tokens of word, which must not be longer than shortWord.
func (m *shortMerge) merge(t *BPE, dst []int32, word string) []int32 {
	n := len(t.start(m.ids[:0], word))
	m.link(t, n)
	least := m.least[:(n+block-1)/block]
	for {
		key := noKey
		for _, k := range least {
			key = min(key, k)
		}
		if key == noKey {
			break
		}
		m.join(t, int(key%shortWord), int32(key>>shortBits), n)
	}
	for i := 0; i < n; i = int(m.next[i]) {
		dst = append(dst, m.ids[i])
	}
	return dst
}

// link makes the list of n tokens and the keys of their pairs.
func (m *shortMerge) link(t *BPE, n int) {
	for i := range n {
		m.next[i], m.prev[i] = uint8(i+1), uint8(i-1)
		m.keys[i] = noKey
		if i+1 < n {
			m.keys[i] = shortKey(t.pairs.rank(m.ids[i], m.ids[i+1]), i)
		}
	}
	for i := n; i%block != 0; i++ {
		m.keys[i] = noKey
	}
	for i := 0; i < n; i += block {
		m.settle(i)
	}
}

func shortKey(rank int32, at int) uint32 {
	if rank == noRank {
		return noKey
	}
	return uint32(rank)<<shortBits | uint32(at)
}

// join merges the tokens at the position at and after it, whose pair has the given
// rank, and brings the keys around them up to date.
func (m *shortMerge) join(t *BPE, at int, rank int32, n int) {
	right := int(m.next[at])
	after := int(m.next[right])
	id := t.merges[rank].id
	m.ids[at] = id
	m.next[at] = uint8(after)
	m.prev[after] = uint8(at)
	m.keys[right], m.keys[at] = noKey, noKey
	if after < n {
		m.keys[at] = shortKey(t.pairs.rank(id, m.ids[after]), at)
	}
	m.settle(at)
	if right/block != at/block {
		m.settle(right)
	}
	if at > 0 {
		before := int(m.prev[at])
		m.keys[before] = shortKey(t.pairs.rank(m.ids[before], id), before)
		m.settle(before)
	}
}

// settle finds the least key of the block of position i anew.
func (m *shortMerge) settle(i int) {
	i = i / block * block
	k := (*[block]uint32)(m.keys[i : i+block])
	m.least[i/block] = min(k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7])
}
