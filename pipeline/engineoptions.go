package pipeline

import (
	"fmt"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// EngineOptions say how much an engine does at once. None of them but DType
// changes a reply.
type EngineOptions struct {
	// Threads that compute; 0 means one for each CPU.
	Threads int
	// DType is what the weights are kept in while serving. nil means what they
	// are stored in, if that is int8 or bfloat16, and float32 otherwise (see
	// [models.ServingDType]).
	DType *kernels.DType
	// MaxSequences is how many replies are written at the same time. 0 means 8.
	MaxSequences int
	// MaxQueue is how many requests may wait for their turn besides; more are
	// refused with ErrBusy. 0 means 64.
	MaxQueue int

	// KVBytes is the memory for keys and values: of replies being written, and
	// of earlier prompts and replies in case a later request starts with them.
	// It is taken as it is needed, and the least recently used goes when it is
	// full; when the replies being written alone need more, the newest of them
	// waits until there is room. It must hold one full context and a block.
	//
	// 0 means enough for MaxSequences full contexts and 64 MiB at least; then no
	// more than a quarter, or 64 MiB, is kept when no reply uses it, so that a
	// server that is not busy stays small.
	KVBytes int64
	// NoPrefixCache computes every prompt from its start.
	NoPrefixCache bool

	// StepTokens is how many tokens of prompts and texts to embed one step
	// computes when no reply is being written. 0 means 512.
	StepTokens int
	// MixedTokens is how many a step computes beside the next token of each
	// reply being written. Fewer let replies flow more evenly, more bring
	// waiting ones to their first token sooner. 0 means 128.
	MixedTokens int

	// SpeculationRows is how many rows a step may have for guesses of how
	// replies go on to be worth a try: as many as cost little more than one,
	// because reading the weights takes most of the time. 0 means 8.
	SpeculationRows int
	// NoSpeculation guesses nothing.
	NoSpeculation bool

	keepBlocks int // that no reply uses

	before func() // for tests: called by the loop before it looks for work
}

const leastKVBytes = 64 << 20

// EnsureDefaults fills the fields that may be left zero, but for KVBytes,
// whose default depends on the model.
func (o *EngineOptions) EnsureDefaults() {
	for field, value := range map[*int]int{
		&o.MaxSequences: 8, &o.MaxQueue: 64, &o.StepTokens: 512, &o.MixedTokens: 128, &o.SpeculationRows: 8,
	} {
		if *field == 0 {
			*field = value
		}
	}
}

// Validate names the first field that makes no sense.
func (o *EngineOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{
		{"threads", o.Threads}, {"max_sequences", o.MaxSequences}, {"max_queue", o.MaxQueue},
		{"step_tokens", o.StepTokens}, {"mixed_tokens", o.MixedTokens}, {"speculation_rows", o.SpeculationRows},
	} {
		if f.value < 0 || f.value > 1<<16 {
			return &OptionError{Field: f.name, Problem: fmt.Sprintf("must lie between 0 and %d, not %d", 1<<16, f.value)}
		}
	}
	if o.KVBytes < 0 {
		return &OptionError{Field: "kv_bytes", Problem: fmt.Sprintf("must not be negative, not %d", o.KVBytes)}
	}
	return nil
}

// fit sets or checks what depends on the model.
func (o *EngineOptions) fit(m *gpt2.Model) error {
	block := m.NewKVMemory(0).BlockBytes()
	blocks := int64((m.Config.Positions + gpt2.BlockTokens - 1) / gpt2.BlockTokens)
	keep := o.KVBytes
	if o.KVBytes == 0 {
		o.KVBytes = max(leastKVBytes, (int64(o.MaxSequences)*blocks+1)*block)
		keep = max(leastKVBytes, o.KVBytes/4)
	}
	o.keepBlocks = int(keep / block)
	// A sequence that takes over part of a block needs both for a moment.
	if least := (blocks + 1) * block; o.KVBytes < least {
		return &OptionError{Field: "kv_bytes", Problem: fmt.Sprintf(
			"is %d, but one context of %d tokens needs %d", o.KVBytes, m.Config.Positions, least)}
	}
	return nil
}

// dtype is what NewEngine keeps the weights of a model that can be trained in.
func (o *EngineOptions) dtype() kernels.DType {
	if o.DType == nil {
		return kernels.Float32
	}
	return *o.DType
}
