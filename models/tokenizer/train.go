package tokenizer

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unicode/utf8"
)

// TrainOptions are the settings of [TrainBPE].
type TrainOptions struct {
	// VocabSize is the number of tokens to make in all: the 256 bytes, merges, and
	// special tokens. When the text has too few frequent pairs, there are fewer.
	VocabSize int
	// Specials are the names of the special tokens. They get the highest ids, in
	// this order, as <|endoftext|> does in GPT-2.
	Specials []string
	// MinCount is how often a pair must occur to be merged; 0 means 2.
	MinCount int
	// MaxWords bounds the number of different words that are counted at a time, and
	// so the memory; 0 means 4 million. When there are more, the rarest are dropped.
	MaxWords int
	// MaxTokenRunes is the longest token to make, in characters; 0 means any length. A
	// small corpus that repeats itself is better learnt without its stock phrases as
	// tokens.
	MaxTokenRunes int
	// Progress, if not nil, is called now and then with the number of merges made.
	Progress func(done, total int)
}

// maxCounted is the longest stretch of a word, in characters, that is counted in one
// piece. A Chinese clause is one word to GPT-2's pattern, and nearly every clause of a
// corpus is different: whole, they would fill the memory without showing the trainer
// any pair that their parts do not show. (Only counting works on parts; the encoder
// merges whole words.)
const maxCounted = 16

// maxWordsLimit keeps the places in all words, of at most 4*maxCounted+1 each, countable
// in 32 bits.
const maxWordsLimit = 1 << 25

// TrainBPE learns a vocabulary from texts: starting with the 256 bytes, it merges the
// pair of neighbouring tokens that occurs most often, again and again, until the
// vocabulary is full or no pair occurs opts.MinCount times. This is the algorithm of
// Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units"
// (2016), on bytes as in GPT-2.
//
// It is deterministic: of pairs that occur equally often, the one whose left token
// has the lower id is merged first, then the one whose right token has; bytes have
// GPT-2's ids 0 to 255 and merges get the next ones in order. The result depends on
// how often each word occurs, not on the order of texts (as long as there are no more
// than opts.MaxWords different ones). A pair that would spell a token there already
// is, or a special token's name, is never merged, so that every token has one merge.
//
// A text should be a whole utterance or document: no word spans two of them.
func TrainBPE(texts iter.Seq[string], opts TrainOptions) (*BPE, error) {
	if err := opts.ensureDefaults(); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	words := countWords(texts, opts.MaxWords)
	tr := newTrainer(opts, words)
	tr.run(opts.VocabSize - 256 - len(opts.Specials))
	t, err := tr.tokenizer()
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	return t, nil
}

func (o *TrainOptions) ensureDefaults() error {
	if o.MinCount == 0 {
		o.MinCount = 2
	}
	if o.MaxWords == 0 {
		o.MaxWords = 2_000_000
	}
	if o.MinCount < 0 || o.MaxWords < 0 || o.MaxTokenRunes < 0 {
		return errors.New("MinCount, MaxWords and MaxTokenRunes must not be negative")
	}
	if o.MaxWords > maxWordsLimit {
		return fmt.Errorf("MaxWords is %d, more than %d", o.MaxWords, maxWordsLimit)
	}
	if o.VocabSize > maxTokens {
		return fmt.Errorf("a vocabulary of %d is too large: %d tokens are the most", o.VocabSize, maxTokens)
	}
	if least := 256 + len(o.Specials); o.VocabSize < least {
		return fmt.Errorf("a vocabulary of %d is too small for the 256 bytes and %d special tokens", o.VocabSize, len(o.Specials))
	}
	seen := map[string]bool{}
	for _, s := range o.Specials {
		switch {
		case !utf8.ValidString(s):
			return fmt.Errorf("the special token %q is not valid UTF-8", s)
		case utf8.RuneCountInString(s) < 2:
			return fmt.Errorf("the special token %q needs two characters at least", s)
		case seen[s]:
			return fmt.Errorf("the special token %q is listed twice", s)
		}
		seen[s] = true
	}
	return nil
}

// countWords counts the words of texts, long ones in parts.
func countWords(texts iter.Seq[string], maxWords int) map[string]int64 {
	classes := basicPlane()
	counts := map[string]*int64{}
	for text := range texts {
		for text != "" {
			n := classes.wordEnd(text)
			for word := text[:n]; word != ""; {
				part := word[:prefixEnd(word, maxCounted)]
				if c := counts[part]; c != nil {
					*c++
				} else {
					c := int64(1)
					counts[string([]byte(part))] = &c // a copy: part would keep all of text alive
				}
				word = word[len(part):]
			}
			text = text[n:]
		}
		for least := int64(2); len(counts) > maxWords; least++ {
			for w, c := range counts {
				if *c < least {
					delete(counts, w)
				}
			}
		}
	}
	out := make(map[string]int64, len(counts))
	for w, c := range counts {
		out[w] = *c
	}
	return out
}

// prefixEnd returns the length in bytes of the first n characters of s, or len(s).
func prefixEnd(s string, n int) int {
	if len(s) <= n {
		return len(s)
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}

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
	known  map[string]bool // the texts of tokens and specials
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

func newTrainer(opts TrainOptions, counts map[string]int64) *trainer {
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
		words = append(words, counted{w, c})
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
func (tr *trainer) run(n int) {
	for len(tr.merges) < n && len(tr.queue) > 0 {
		p := tr.queue[0]
		if p.queued != p.count { // it has become rarer since it was queued
			p.queued = p.count
			heap.Fix(&tr.queue, 0)
			continue
		}
		if p.count < int64(tr.opts.MinCount) {
			return
		}
		heap.Pop(&tr.queue)
		text := tr.tokens[p.left] + tr.tokens[p.right]
		if !tr.known[text] && !tr.tooLong(text) {
			tr.merge(p, text)
		}
		if tr.opts.Progress != nil && len(tr.merges)%256 == 0 {
			tr.opts.Progress(len(tr.merges), n)
		}
	}
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
	tr.known[text] = true
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
