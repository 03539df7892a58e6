package gpt2

import (
	"fmt"

	"causerie/models/ops"
)

// Outputs say what a step computes of which rows. Rows count through all
// segments.
type Outputs struct {
	LogitRows []int
	Logits    []float32 // receives [len(LogitRows), vocab]

	// HiddenRows are rows whose last layer norm is wanted, what the LM head
	// would read.
	HiddenRows []int
	Hidden     []float32 // receives [len(HiddenRows), width]
}

// Step is one forward pass over a ragged batch: [Runner.Logits] of some rows
// and [Runner.Hidden] of others. When an error is returned no cache has
// changed.
func (r *Runner) Step(segments []Segment, out Outputs) error {
	defer r.ws.Reset()
	if err := r.model.layout(&r.batch, segments); err != nil {
		return err
	}
	cfg := r.model.Config
	if err := r.checkRows("logits", out.LogitRows, len(out.Logits), cfg.VocabSize); err != nil {
		return err
	}
	if err := r.checkRows("hidden values", out.HiddenRows, len(out.Hidden), cfg.Width); err != nil {
		return err
	}
	x := r.model.stack(r.ws, &r.batch)
	if len(out.LogitRows) > 0 {
		h := r.model.Final.forward(r.ws, ops.Gather(r.ws, x, out.LogitRows), cfg.Eps)
		ops.Logits(r.ws, h, r.model.head(), out.Logits)
	}
	if len(out.HiddenRows) > 0 {
		h := r.model.Final.forward(r.ws, ops.Gather(r.ws, x, out.HiddenRows), cfg.Eps)
		copy(out.Hidden, ops.ValuesOf(h))
	}
	for _, s := range segments {
		if s.Cache != nil {
			s.Cache.grow(len(s.Tokens), r.model.through(s))
		}
	}
	return nil
}

func (r *Runner) checkRows(what string, rows []int, room, width int) error {
	for _, row := range rows {
		if row < 0 || row >= len(r.batch.ids) {
			return fmt.Errorf("gpt2: row %d is not in [0, %d)", row, len(r.batch.ids))
		}
	}
	if room != len(rows)*width {
		return fmt.Errorf("gpt2: room for %d %s, %d rows of %d asked for", room, what, len(rows), width)
	}
	return nil
}
