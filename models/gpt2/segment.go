package gpt2

import (
	"fmt"

	"causerie/models/ops"
)

// Segment is one sequence's share of a batch. A training window, a chunk of a
// prompt and a single decoding step are all segments.
type Segment struct {
	Tokens []int32
	Cache  *Cache // nil: the sequence is whole; else Tokens follow what it holds and are appended

	// Adapter changes what the model does with these tokens; nil: the model's
	// own adapter, if it has one. A cache goes on with the adapter that it was
	// filled with.
	Adapter *Adapter
}

// batch is checked segments laid out for the operators.
type batch struct {
	ids   []int32
	spans []ops.Span

	runs      []run // rows with adapters
	training  bool  // gradients are wanted: adapters drop out
	recompute bool  // blocks keep their input alone for the way back
}

// layout checks the segments and puts them one after the other. The operators
// cannot report errors, so everything that could go wrong is found here.
func (m *Model) layout(b *batch, segments []Segment) error {
	b.ids, b.spans, b.runs = b.ids[:0], b.spans[:0], b.runs[:0]
	if len(segments) == 0 {
		return fmt.Errorf("gpt2: no segments")
	}
	for i, s := range segments {
		span, err := m.span(s)
		if err != nil {
			return fmt.Errorf("gpt2: segment %d: %w", i, err)
		}
		for _, earlier := range segments[:i] {
			if s.Cache != nil && s.Cache == earlier.Cache {
				return fmt.Errorf("gpt2: segment %d: its cache is used by another segment of the batch", i)
			}
		}
		span.First = len(b.ids)
		b.spans = append(b.spans, span)
		b.adapt(span.First, span.Rows, m.through(s))
		b.ids = append(b.ids, s.Tokens...)
	}
	return nil
}

func (m *Model) span(s Segment) (ops.Span, error) {
	span := ops.Span{Rows: len(s.Tokens)}
	if s.Cache != nil {
		span.Past = s.Cache.len
		if s.Cache.from.shape != m.kvShape() || s.Cache.from.positions != m.Config.Positions {
			return span, fmt.Errorf("its cache was made for a model of another shape")
		}
	}
	if err := m.checkAdapter(s); err != nil {
		return span, err
	}
	if span.Rows == 0 {
		return span, fmt.Errorf("it holds no tokens")
	}
	if n := span.Past + span.Rows; n > m.Config.Positions {
		return span, fmt.Errorf("%d tokens are more than the context of %d", n, m.Config.Positions)
	}
	for at, id := range s.Tokens {
		if id < 0 || int(id) >= m.Config.VocabSize {
			return span, fmt.Errorf("token %d at position %d is not in [0, %d)", id, span.Past+at, m.Config.VocabSize)
		}
	}
	if s.Cache != nil {
		if err := s.Cache.Reserve(span.Rows); err != nil {
			return span, err
		}
		span.Blocks = s.Cache.kv
	}
	return span, nil
}
