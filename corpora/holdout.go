package corpora

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// HoldOut chooses dialogues that are measured on and not learnt. The choice is
// a function of a dialogue's content and of a seed: a dialogue that occurs
// twice is on one side both times, and adding or reordering others does not
// move it (as long as the limit stays). Of preferences only the prompt counts:
// all pairs of replies to it are on one side. The zero value holds nothing out.
type HoldOut struct {
	seed  uint64
	limit uint64 // dialogues with a smaller hash are held out
}

// Fewest unique dialogues of which some can be held out, and the most that
// are: measuring on more tells little that is new.
const (
	fewestToDivide = 10
	mostHeldOut    = 500
)

// ChooseHoldOut reads the files through and chooses about the given fraction
// of their dialogues: one at least, mostHeldOut at most. Of fewer than ten
// different dialogues none is held out.
func ChooseHoldOut(ctx context.Context, paths []string, o Options, fraction float64, seed uint64) (HoldOut, error) {
	if !(fraction >= 0 && fraction < 1) {
		return HoldOut{}, fmt.Errorf("corpus: the part to hold out must be at least 0 and below 1, not %g", fraction)
	}
	h := HoldOut{seed: seed}
	seen := map[uint64]struct{}{}
	for _, path := range paths {
		if err := eachDialogue(ctx, path, o, func(d Dialogue) { seen[h.hash(d)] = struct{}{} }); err != nil {
			return HoldOut{}, err
		}
	}
	if fraction == 0 || len(seen) < fewestToDivide {
		return HoldOut{}, nil
	}
	hashes := make([]uint64, 0, len(seen))
	for v := range seen {
		hashes = append(hashes, v)
	}
	slices.Sort(hashes)
	n := int(math.Round(fraction * float64(len(hashes))))
	h.limit = hashes[min(max(n, 1), mostHeldOut, len(hashes)-1)]
	return h, nil
}

// Any reports whether anything is held out.
func (h HoldOut) Any() bool { return h.limit > 0 }

// Held reports whether a dialogue is held out.
func (h HoldOut) Held(d Dialogue) bool { return h.limit > 0 && h.hash(d) < h.limit }

// Kept reports whether a dialogue is left to learn from.
func (h HoldOut) Kept(d Dialogue) bool { return !h.Held(d) }

func (h HoldOut) hash(d Dialogue) uint64 {
	if d.Rejected != "" {
		d.Turns, d.Rejected = d.Turns[:len(d.Turns)-1], ""
	}
	key, _ := keyOf(d, nil)
	return mix(h.seed, binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:]))
}
