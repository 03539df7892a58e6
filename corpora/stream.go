package corpora

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sort"
)

// builder packs examples into a batch.
type builder struct {
	d     *Dataset
	batch Batch
	ends  []int // of the examples, in rows
	bytes []int32
}

// add appends unit u of a source.
func (b *builder) add(s *source, u int) {
	first, end := s.unit(u)
	for i := first; i < end; i++ {
		b.addExample(s, i)
	}
}

func (b *builder) addExample(s *source, i int) {
	ids, marks := s.ids[s.starts[i]:s.starts[i+1]], s.marks[s.starts[i]:s.starts[i+1]]
	n := len(ids) - 1
	b.batch.Tokens = append(b.batch.Tokens, ids[:n]...)
	b.batch.Targets = append(b.batch.Targets, ids[1:]...)
	for _, m := range marks[1:] {
		b.batch.Weights = append(b.batch.Weights, b.d.levels[m>>1])
		b.batch.Text = append(b.batch.Text, m&1 != 0)
	}
	b.ends = append(b.ends, len(b.batch.Tokens))
	b.bytes = append(b.bytes, s.bytes[i])
	b.batch.Index = append(b.batch.Index, s.first+i)
	b.batch.TextBytes += int(s.bytes[i])
}

// take returns the batch, which is the caller's then, and starts a new one.
func (b *builder) take() *Batch {
	out := b.batch
	start := 0
	out.Examples = make([]Example, len(b.ends))
	for i, end := range b.ends {
		out.Examples[i] = Example{
			Tokens:    out.Tokens[start:end:end],
			Targets:   out.Targets[start:end:end],
			Weights:   out.Weights[start:end:end],
			Text:      out.Text[start:end:end],
			TextBytes: int(b.bytes[i]),
		}
		start = end
	}
	*b = builder{d: b.d, ends: b.ends[:0], bytes: b.bytes[:0]}
	return &out
}

// Batches yields all examples once, in the order of the files, packed into
// batches of at most rows rows; pairs stay together. What is longer than rows
// (which Context forbids of an example, if it is no larger) is a batch of its
// own.
func (d *Dataset) Batches(rows int) iter.Seq[*Batch] {
	return func(yield func(*Batch) bool) {
		b := builder{d: d}
		for _, s := range d.sources {
			for u := range s.units() {
				if len(b.ends) > 0 && b.batch.Rows()+s.rows(u) > rows {
					if !yield(b.take()) {
						return
					}
				}
				b.add(s, u)
			}
		}
		if len(b.ends) > 0 {
			yield(b.take())
		}
	}
}

// DatasetState is the position of a Stream. It is small, and made for JSON.
type DatasetState struct {
	Fingerprint string   `json:"fingerprint"` // of the dataset
	Seed        uint64   `json:"seed"`
	Draws       uint64   `json:"draws"` // examples, or pairs, drawn from all sources
	Drawn       []uint64 `json:"drawn"` // the same of each source
}

// Stream is an endless row of training batches: each source is shuffled anew
// for every pass over it, and the sources are mixed by their weights. Which
// example comes at which place is a function of the seed and of the counters
// in DatasetState alone. A Stream is not safe for concurrent use.
type Stream struct {
	d      *Dataset
	rows   int
	seed   uint64
	shares []float64 // cumulative: source s is drawn below shares[s]
	draws  uint64
	drawn  []uint64
	orders []order
}

// order is one pass over a source.
type order struct {
	pass  uint64
	index []uint32 // nil until it is needed
}

// Stream starts the row of batches that belongs to a seed. Each batch takes at
// most rows rows, so rows must be at least Longest.
func (d *Dataset) Stream(rows int, seed uint64) (*Stream, error) {
	if longest := d.Longest(); rows < longest {
		return nil, fmt.Errorf("corpus: a batch of %d rows cannot hold the longest %s of %d", rows, d.unitName(), longest)
	}
	s := &Stream{d: d, rows: rows, seed: seed}
	s.drawn = make([]uint64, len(d.sources))
	s.orders = make([]order, len(d.sources))
	// A source of n examples, or pairs, is drawn in proportion to n times its weight:
	// then its part of all tokens is its natural one times its weight.
	sum := 0.0
	for _, src := range d.sources {
		// The conversion keeps compilers from fusing, which would round
		// differently on different machines.
		sum += float64(float64(src.units()) * src.info.Weight)
		s.shares = append(s.shares, sum)
	}
	return s, nil
}

// unitName is what is drawn, in words.
func (d *Dataset) unitName() string {
	if d.sources[0].pairs {
		return "pair of examples"
	}
	return "example"
}

// Next returns the next batch, which is the caller's.
func (s *Stream) Next() *Batch {
	b := builder{d: s.d}
	b.batch.Tokens = make([]int32, 0, s.rows)
	b.batch.Targets = make([]int32, 0, s.rows)
	b.batch.Weights = make([]float32, 0, s.rows)
	b.batch.Text = make([]bool, 0, s.rows)
	for {
		i := s.choose()
		src, unit := s.d.sources[i], s.unit(i)
		if b.batch.Rows()+src.rows(unit) > s.rows {
			// The unit has not been drawn: the next batch begins with it.
			return b.take()
		}
		b.add(src, unit)
		s.draws++
		s.drawn[i]++
	}
}

// choose returns the source of the current draw.
func (s *Stream) choose() int {
	const stream = 1 << 63 // apart from the sources' own numbers
	u := float64(mix(s.seed, stream, s.draws)>>11) / (1 << 53)
	u *= s.shares[len(s.shares)-1]
	return min(sort.SearchFloat64s(s.shares, u), len(s.shares)-1)
}

// unit returns which example, or pair, of a source its next draw takes.
func (s *Stream) unit(source int) int {
	n := uint64(s.d.sources[source].units())
	pass := s.drawn[source] / n
	o := &s.orders[source]
	if o.index == nil || o.pass != pass {
		o.pass = pass
		o.index = shuffled(o.index, int(n), mix(s.seed, uint64(source), pass))
	}
	return int(o.index[s.drawn[source]%n])
}

// Passes says how often each source has been gone through; 1.5 is one and a
// half times.
func (s *Stream) Passes() []float64 {
	passes := make([]float64, len(s.drawn))
	for i, n := range s.drawn {
		passes[i] = float64(n) / float64(s.d.sources[i].units())
	}
	return passes
}

// State returns the position before the next batch.
func (s *Stream) State() DatasetState {
	return DatasetState{Fingerprint: s.d.Fingerprint(), Seed: s.seed, Draws: s.draws, Drawn: slices.Clone(s.drawn)}
}

// Restore goes to a position, after which Next gives exactly the batches that
// the Stream gave whose State it was. The data, the mix and the seed must be
// the same; an error that says which is not leaves the Stream where it was.
func (s *Stream) Restore(state DatasetState) error {
	var sum uint64
	for _, n := range state.Drawn {
		sum += n
	}
	switch {
	case state.Fingerprint != s.d.Fingerprint():
		return fmt.Errorf("corpus: the position belongs to other data: files, weights, tokenizer or context differ (fingerprint %s, here %s)",
			state.Fingerprint, s.d.Fingerprint())
	case state.Seed != s.seed:
		return fmt.Errorf("corpus: the position belongs to seed %d, not %d", state.Seed, s.seed)
	case len(state.Drawn) != len(s.drawn) || sum != state.Draws:
		return fmt.Errorf("corpus: the position is damaged: %d draws from %d sources", state.Draws, len(state.Drawn))
	}
	s.draws = state.Draws
	copy(s.drawn, state.Drawn)
	return nil
}

// shuffled fills order with a random permutation of 0…n-1 (Fisher and Yates).
// It is our own, and not math/rand's, because a stopped run must go on the same
// way after an update of Go.
func shuffled(order []uint32, n int, seed uint64) []uint32 {
	order = order[:0]
	for i := range n {
		j, _ := bits.Mul64(mix(seed, 0, uint64(i)), uint64(i+1))
		order = append(order, uint32(i))
		order[i], order[j] = order[j], uint32(i)
	}
	return order
}

// mix hashes three numbers into 64 random-looking bits. It is SplitMix64's
// finalizer (Steele, Lea and Flood 2014), applied once for each number.
func mix(a, b, c uint64) uint64 {
	h := finalize(a + 0x9e3779b97f4a7c15)
	h = finalize(h ^ b + 0x9e3779b97f4a7c15)
	return finalize(h ^ c + 0x9e3779b97f4a7c15)
}

func finalize(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
