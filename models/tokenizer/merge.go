package tokenizer

import (
	"math"
	"math/bits"
	"sync"
)

// noRank is the rank of a pair that is not in the list of merges: after all others.
const noRank = int32(math.MaxInt32)

// pairTable maps a pair of neighbouring tokens to its rank. It is a hash table with open
// addressing, because this is the innermost question of encoding and most answers are
// no: a quarter full at most, so that a no is found in one or two steps, and with slots
// of eight bytes, so that it stays in the cache.
type pairTable struct {
	slots []uint64 // left, right, rank+1, in tokenBits, tokenBits, rankBits; or 0
	shift uint8    // 64 - log2(len(slots))
}

const (
	tokenBits = 20
	rankBits  = 24
	maxTokens = 1 << tokenBits
	maxMerges = 1<<rankBits - 1
)

func newPairTable(n int) pairTable {
	log := max(4, bits.Len(uint(2*n))+1)
	return pairTable{slots: make([]uint64, 1<<log), shift: uint8(64 - log)}
}

// key is the upper part of the slot of a pair.
func (p *pairTable) key(left, right int32) uint64 {
	return uint64(uint32(left))<<tokenBits | uint64(uint32(right))
}

// home is where the search for a key starts: Fibonacci hashing.
func (p *pairTable) home(key uint64) int { return int(key * 0x9E3779B97F4A7C15 >> (p.shift & 63)) }

func (p *pairTable) set(left, right, rank int32) {
	key := p.key(left, right)
	mask := len(p.slots) - 1
	i := p.home(key)
	for p.slots[i] != 0 && p.slots[i]>>rankBits != key {
		i = (i + 1) & mask
	}
	p.slots[i] = key<<rankBits | uint64(rank+1)
}

func (p *pairTable) rank(left, right int32) int32 {
	key := p.key(left, right)
	mask := len(p.slots) - 1
	for i := p.home(key); ; i++ {
		s := p.slots[i&mask]
		if s == 0 {
			return noRank
		}
		if s>>rankBits == key {
			return int32(s&(1<<rankBits-1)) - 1
		}
	}
}

// merge appends the tokens that the bytes of word merge into. Of equal ranks the
// leftmost pair is merged first.
//
// A word falls into stretches that cannot influence each other wherever two bytes meet
// that no merge joins. In GPT-2's vocabulary nearly all Chinese characters are apart in
// that way.
func (t *BPE) merge(dst []int32, word string, s *scratch) []int32 {
	start := 0
	for i := 1; i < len(word); i++ {
		if !t.joins.has(word[i-1], word[i]) {
			dst = t.mergeStretch(dst, word[start:i], s)
			start = i
		}
	}
	return t.mergeStretch(dst, word[start:], s)
}

// byteJoins is the set of pairs of bytes, the last of one token and the first of the
// next, that some merge joins.
type byteJoins [1 << 16 / 64]uint64

func (j *byteJoins) has(a, b byte) bool { return j[uint16(a)<<2|uint16(b)>>6]>>(b&63)&1 != 0 }

func (j *byteJoins) add(a, b byte) { j[uint16(a)<<2|uint16(b)>>6] |= 1 << (b & 63) }

// mergeStretch is merge without looking for places where the word falls apart.
func (t *BPE) mergeStretch(dst []int32, word string, s *scratch) []int32 {
	switch {
	case len(word) > shortWord:
		return s.long.merge(t, dst, word)
	case len(word) == 1:
		return t.start(dst, word)
	}
	return s.short.merge(t, dst, word)
}

// start appends the tokens of the single bytes of word. Bytes that the vocabulary
// lacks become the unknown token or, if there is none, nothing: only a foreign
// vocabulary can lack any.
func (t *BPE) start(ids []int32, word string) []int32 {
	if t.complete {
		for i := range len(word) {
			ids = append(ids, t.byteID[word[i]])
		}
		return ids
	}
	unknown := false // the byte before is unknown
	for i := range len(word) {
		id := t.byteID[word[i]]
		repeated := unknown && t.opts.fuseUnknown
		unknown = id == noToken
		if !unknown {
			ids = append(ids, id)
		} else if t.unknown != noToken && !repeated {
			ids = append(ids, t.unknown)
		}
	}
	return ids
}

// scratch is the working space of one call of Encode.
type scratch struct {
	short shortMerge
	long  longMerge
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release gives the space back, unless a giant word has blown it up.
func (s *scratch) release() {
	if cap(s.long.ids) > 1<<16 {
		s.long = longMerge{}
	}
	scratches.Put(s)
}
