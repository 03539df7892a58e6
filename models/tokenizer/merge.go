package tokenizer

import (
	"math"
	"math/bits"
)

// noRank is the rank of a pair that is not in the list of merges: after all others.
const noRank = int32(math.MaxInt32)

// pairTable maps a pair of neighbouring tokens to its rank: a hash table with open
// addressing, at most half full, because this is the innermost question of encoding
// and Go's map is several times slower at it.
type pairTable struct {
	slots []pairSlot
	shift uint8 // 64 - log2(len(slots))
}

type pairSlot struct {
	key  uint64 // pairKey, or 0 when free
	rank int32
}

// pairKey is never 0: tokens count from 1 in it.
func pairKey(left, right int32) uint64 {
	return uint64(uint32(left)+1)<<32 | uint64(uint32(right)+1)
}

func newPairTable(n int) pairTable {
	log := max(4, bits.Len(uint(2*n)))
	return pairTable{slots: make([]pairSlot, 1<<log), shift: uint8(64 - log)}
}

// home is where the search for a key starts: Fibonacci hashing.
func (p *pairTable) home(key uint64) uint64 {
	return (key * 0x9E3779B97F4A7C15) >> p.shift
}

func (p *pairTable) set(left, right, rank int32) {
	key := pairKey(left, right)
	mask := uint64(len(p.slots) - 1)
	i := p.home(key)
	for p.slots[i].key != 0 && p.slots[i].key != key {
		i = (i + 1) & mask
	}
	p.slots[i] = pairSlot{key, rank}
}

func (p *pairTable) rank(left, right int32) int32 {
	key := pairKey(left, right)
	mask := uint64(len(p.slots) - 1)
	for i := p.home(key); ; i = (i + 1) & mask {
		s := &p.slots[i&mask]
		if s.key == key {
			return s.rank
		}
		if s.key == 0 {
			return noRank
		}
	}
}

// shortWord is the longest word, in bytes, that is merged by looking through all its
// pairs for the best one each time. That is quadratic, but up to some length nothing is
// faster; longer words use a heap.
const shortWord = 64

// merge appends the tokens that the bytes of word merge into. Of equal ranks the
// leftmost pair is merged first.
func (t *BPE) merge(dst []int32, word string) []int32 {
	if len(word) > shortWord {
		return t.mergeLong(dst, word)
	}
	var (
		ids   [shortWord]int32 // the tokens so far
		ranks [shortWord]int32 // ranks[i] is that of the pair ids[i], ids[i+1]
	)
	n := len(t.start(ids[:0], word))
	for i := 0; i+1 < n; i++ {
		ranks[i] = t.pairs.rank(ids[i], ids[i+1])
	}
	for n > 1 {
		at, best := 0, noRank
		for i, r := range ranks[:n-1] {
			if r < best {
				at, best = i, r
			}
		}
		if best == noRank {
			break
		}
		ids[at] = t.merges[best].id
		n--
		copy(ids[at+1:n], ids[at+2:n+1])
		copy(ranks[at+1:n], ranks[at+2:n+1])
		if at+1 < n {
			ranks[at] = t.pairs.rank(ids[at], ids[at+1])
		}
		if at > 0 {
			ranks[at-1] = t.pairs.rank(ids[at-1], ids[at])
		}
	}
	return append(dst, ids[:n]...)
}

// start appends the tokens of the single bytes of word. Bytes that the vocabulary
// lacks become the unknown token or, if there is none, nothing: only a foreign
// vocabulary can lack any.
func (t *BPE) start(ids []int32, word string) []int32 {
	unknown := false
	for i := range len(word) {
		id := t.byteID[word[i]]
		if id == noToken {
			continue
		}
		isUnknown := t.entries[id] == t.opts.unknown && t.opts.unknown != ""
		if isUnknown && unknown && t.opts.fuseUnknown {
			continue
		}
		unknown = isUnknown
		ids = append(ids, id)
	}
	return ids
}
