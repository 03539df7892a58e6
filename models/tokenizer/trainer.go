package tokenizer

import (
	"cmp"
	"container/heap"
	"slices"
	"unicode/utf8"
)

// trainer holds the words as one array of tokens, in which the best pair is merged in
// place, and the number of times and the places at which each pair occurs.
//
// A token that covers the bytes i to j is written at both ends, at[i] = at[j] = id, so
// that its neighbours are found in either direction; the places between are gap.
// A gap also stands between words.
type trainer struct {
	opts   TrainOptions
	at     []int32
	weight []int32 // by place: how often the word occurs
	tokens []string
	known  map[string]bool // the entries of tokens and specials, as the files spell them
	merges []merge
	pairs  map[uint64]*trainPair
	queue  pairQueue
}

const gap = int32(-1)

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
	slices.SortFunc(words, func(a, b counted) int { return cmp.Compare(a.word, b.word) })
	tr.at = make([]int32, 0, size)
	tr.weight = make([]int32, 0, size)
	tr.at, tr.weight = append(tr.at, gap), append(tr.weight, 0)
	for _, w := range words {
		for i := range len(w.word) {
			tr.at = append(tr.at, ids[w.word[i]])
			tr.weight = append(tr.weight, int32(min(w.count, 1<<31-1)))
		}
		tr.at, tr.weight = append(tr.at, gap), append(tr.weight, 0)
	}
	tr.countPairs()
	return tr
}

// countPairs lists the pairs of single bytes.
func (tr *trainer) countPairs() {
	for i := 1; i < len(tr.at)-1; i++ {
		if tr.at[i] != gap && tr.at[i+1] != gap {
			tr.occurs(tr.at[i], tr.at[i+1], i)
		}
	}
	for _, p := range tr.pairs {
		p.queued = p.count
		tr.queue = append(tr.queue, p)
	}
	heap.Init(&tr.queue)
}

// occurs notes that a pair starts at place i.
func (tr *trainer) occurs(left, right int32, i int) *trainPair {
	key := pairKey(left, right)
	p := tr.pairs[key]
	if p == nil {
		p = &trainPair{left: left, right: right}
		tr.pairs[key] = p
	}
	p.count += int64(tr.weight[i])
	p.places = append(p.places, uint32(i))
	return p
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
		w := int64(tr.weight[i])
		if before := tr.at[i-1]; before != gap {
			tr.pairs[pairKey(before, p.left)].count -= w
			fresh = tr.note(fresh, before, id, i-len(tr.tokens[before]))
		}
		if after := tr.at[i+nl+nr]; after != gap {
			tr.pairs[pairKey(p.right, after)].count -= w
			fresh = tr.note(fresh, id, after, i)
		}
		tr.at[i+nl-1], tr.at[i+nl] = gap, gap
		tr.at[i], tr.at[i+nl+nr-1] = id, id
	}
	delete(tr.pairs, pairKey(p.left, p.right))
	for _, q := range fresh {
		q.queued = q.count
		heap.Push(&tr.queue, q)
	}
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
