package tokenizer

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"
	"unicode/utf8"
)

// trainer holds the words as one array of tokens, in which the best pair is merged in
// place, and the number of times and the places at which each pair occurs.
//
// A token that covers the bytes i to j is written at both ends, at[i] = at[j] = id, so
// that its neighbours are found in either direction; the places between are gap.
// A gap also stands between words.
//
// A pair comes into being in one go, when the later of its two tokens does, and from
// then on only ever becomes rarer. So its places are in order, and one that starts out
// too rare to be merged need not be kept.
type trainer struct {
	opts    TrainOptions
	at      []int32
	weights []weight // how often words occur, by place
	tokens  []string
	known   map[string]bool // the entries of tokens and specials, as the files spell them
	merges  []merge
	pairs   map[uint64]*trainPair
	queue   pairQueue
}

const gap = int32(-1)

// weight says how often the words before the place end occur, if they are not before
// the end of the preceding weight.
type weight struct {
	end   int
	count int64
}

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

type trainPair struct {
	left, right int32
	count       int64
	places      []uint32 // where left starts, ascending; some may be out of date
	queued      int64    // the count it is queued under
}

func newTrainer(opts TrainOptions, counts map[string]*int64) *trainer {
	tr := &trainer{opts: opts, known: map[string]bool{}, pairs: map[uint64]*trainPair{}}
	for _, s := range opts.Specials {
		tr.known[s] = true
	}
	var ids [256]int32
	for id, b := range byteOrder {
		ids[b] = int32(id)
		tr.tokens = append(tr.tokens, string([]byte{b}))
	}
	tr.setWords(counts, &ids)
	tr.countPairs()
	return tr
}

// setWords lays out the words, the rare ones first.
func (tr *trainer) setWords(counts map[string]*int64, ids *[256]int32) {
	type counted struct {
		word  string
		count int64
	}
	words := make([]counted, 0, len(counts))
	size := 1
	for w, c := range counts {
		words = append(words, counted{w, *c})
		size += len(w) + 1
	}
	slices.SortFunc(words, func(a, b counted) int {
		return cmp.Or(cmp.Compare(a.count, b.count), strings.Compare(a.word, b.word))
	})
	tr.at = append(make([]int32, 0, size), gap)
	for i, w := range words {
		for j := range len(w.word) {
			tr.at = append(tr.at, ids[w.word[j]])
		}
		tr.at = append(tr.at, gap)
		if i+1 == len(words) || words[i+1].count != w.count {
			tr.weights = append(tr.weights, weight{len(tr.at), w.count})
		}
	}
}

// weight returns how often the word at place i occurs.
func (tr *trainer) weight(i int) int64 {
	if i < tr.weights[0].end {
		return tr.weights[0].count // words that occur once fill most of the array
	}
	k, _ := slices.BinarySearchFunc(tr.weights, i+1, func(w weight, i int) int { return cmp.Compare(w.end, i) })
	return tr.weights[k].count
}

// countPairs lists the pairs of single bytes.
func (tr *trainer) countPairs() {
	var sizes [1 << 16]int32
	total := 0
	tr.eachBytePair(func(_, left, right int) {
		sizes[left<<8|right]++
		total++
	})
	room := make([]uint32, total)
	var pairs []*trainPair
	for left := range 256 {
		for right := range 256 {
			if n := sizes[left<<8|right]; n > 0 {
				p := &trainPair{left: int32(left), right: int32(right), places: room[:0:n]}
				room = room[n:]
				tr.pairs[pairKey(p.left, p.right)] = p
				pairs = append(pairs, p)
			}
		}
	}
	tr.eachBytePair(func(i, left, right int) { tr.occurs(int32(left), int32(right), i) })
	tr.enqueue(pairs)
}

// eachBytePair visits the pairs of bytes, as long as there are no other tokens.
func (tr *trainer) eachBytePair(visit func(i, left, right int)) {
	for i := 1; i < len(tr.at)-1; i++ {
		if tr.at[i] != gap && tr.at[i+1] != gap {
			visit(i, int(tr.at[i]), int(tr.at[i+1]))
		}
	}
}

// occurs notes that a pair starts at place i.
func (tr *trainer) occurs(left, right int32, i int) *trainPair {
	key := pairKey(left, right)
	p := tr.pairs[key]
	if p == nil {
		p = &trainPair{left: left, right: right}
		tr.pairs[key] = p
	}
	p.count += tr.weight(i)
	p.places = append(p.places, uint32(i))
	return p
}

// enqueue puts new pairs, whose places are all known now, up for merging.
func (tr *trainer) enqueue(pairs []*trainPair) {
	for _, p := range pairs {
		if p.count < int64(tr.opts.MinCount) {
			delete(tr.pairs, pairKey(p.left, p.right))
			continue
		}
		p.queued = p.count
		heap.Push(&tr.queue, p)
	}
}

// rarer takes w off the count of a pair, if it is counted at all.
func (tr *trainer) rarer(left, right int32, w int64) {
	if p := tr.pairs[pairKey(left, right)]; p != nil {
		p.count -= w
	}
}

// run makes up to n merges.
func (tr *trainer) run(n int) error {
	for len(tr.merges) < n && len(tr.queue) > 0 {
		p := tr.queue[0]
		if p.queued != p.count { // it has become rarer since it was queued
			p.queued = p.count
			heap.Fix(&tr.queue, 0)
			continue
		}
		if p.count < int64(tr.opts.MinCount) {
			break
		}
		heap.Pop(&tr.queue)
		text := tr.tokens[p.left] + tr.tokens[p.right]
		if tr.known[toVisible(text)] || tr.tooLong(text) {
			continue
		}
		tr.merge(p, text)
		if tr.opts.Progress != nil && len(tr.merges)%64 == 0 {
			if err := tr.opts.Progress(len(tr.merges), n); err != nil {
				return err
			}
		}
	}
	return nil
}

// tooLong reports whether a token would have too many characters, a part of one at
// either end counted as one.
func (tr *trainer) tooLong(text string) bool {
	if tr.opts.MaxTokenRunes == 0 {
		return false
	}
	runes := 1
	for i := 1; i < len(text); i++ {
		if utf8.RuneStart(text[i]) {
			runes++
		}
	}
	return runes > tr.opts.MaxTokenRunes
}

// merge makes the pair a token everywhere and brings the counts up to date.
func (tr *trainer) merge(p *trainPair, text string) {
	id := int32(len(tr.tokens))
	tr.tokens = append(tr.tokens, text)
	tr.known[toVisible(text)] = true
	tr.merges = append(tr.merges, merge{p.left, p.right, id})
	nl, nr := len(tr.tokens[p.left]), len(tr.tokens[p.right])
	var fresh []*trainPair
	for _, place := range p.places {
		i := int(place)
		if tr.at[i] != p.left || tr.at[i+nl] != p.right {
			continue // out of date: merged with another neighbour
		}
		w := tr.weight(i)
		if before := tr.at[i-1]; before != gap {
			tr.rarer(before, p.left, w)
			fresh = tr.note(fresh, before, id, i-len(tr.tokens[before]))
		}
		if after := tr.at[i+nl+nr]; after != gap {
			tr.rarer(p.right, after, w)
			fresh = tr.note(fresh, id, after, i)
		}
		tr.at[i+nl-1], tr.at[i+nl] = gap, gap
		tr.at[i], tr.at[i+nl+nr-1] = id, id
	}
	delete(tr.pairs, pairKey(p.left, p.right))
	tr.enqueue(fresh)
}

// note is occurs, and adds the pair to fresh if this is its first time.
func (tr *trainer) note(fresh []*trainPair, left, right int32, i int) []*trainPair {
	p := tr.occurs(left, right, i)
	if len(p.places) == 1 {
		fresh = append(fresh, p)
	}
	return fresh
}

// tokenizer makes the result.
func (tr *trainer) tokenizer() (*BPE, error) {
	vocab := make(map[string]int32, len(tr.tokens)+len(tr.opts.Specials))
	for id, text := range tr.tokens {
		vocab[toVisible(text)] = int32(id)
	}
	merges := make([][2]string, len(tr.merges))
	for i, m := range tr.merges {
		merges[i] = [2]string{toVisible(tr.tokens[m.left]), toVisible(tr.tokens[m.right])}
	}
	var added []addedToken
	for _, name := range tr.opts.Specials {
		id := int32(len(vocab))
		vocab[name] = id
		added = append(added, addedToken{content: name, id: id, special: true})
	}
	return newBPE(vocab, merges, added, bpeOptions{roles: gpt2Roles})
}

// pairQueue is a heap of pairs: the most frequent first, then the lowest ids.
type pairQueue []*trainPair

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if a.queued != b.queued {
		return a.queued > b.queued
	}
	if a.left != b.left {
		return a.left < b.left
	}
	return a.right < b.right
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(*trainPair)) }
func (q *pairQueue) Pop() any {
	last := len(*q) - 1
	p := (*q)[last]
	*q = (*q)[:last]
	return p
}
