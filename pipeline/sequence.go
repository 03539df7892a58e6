package pipeline

import (
	"context"

	"causerie/models/gpt2"
)

// sequence is the memory of one token sequence: the model's KV cache and the
// ids it holds. Requests take one from the engine and give it back as it is;
// the next conversation turn finds most of its prompt computed already.
type sequence struct {
	cache  *gpt2.Cache
	tokens []int32 // what the cache holds
	used   uint64  // when it was last taken, for choosing the one unused longest
	step   step
	logits []float32 // of the last token
}

// prefillRows is how many prompt tokens go through the model at once. Longer
// prompts take several steps, between which other requests get theirs.
const prefillRows = 128

// start makes the sequence hold the prompt and leaves the logits of its last
// token in s.logits. Only what the cache does not hold already is computed;
// that changes no bit of the logits.
func (s *sequence) start(ctx context.Context, b *batcher, prompt []int32) error {
	// The last token is always computed: its logits are not kept.
	s.truncate(min(commonPrefix(s.tokens, prompt), len(prompt)-1))
	return s.append(ctx, b, prompt[len(s.tokens):])
}

// append runs tokens through the model, after what the sequence holds.
func (s *sequence) append(ctx context.Context, b *batcher, tokens []int32) error {
	for len(tokens) > 0 {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		n := min(len(tokens), prefillRows)
		s.step.segment = gpt2.Segment{Tokens: tokens[:n], Cache: s.cache}
		s.step.logits = nil
		if n == len(tokens) {
			s.step.logits = s.logits
		}
		if err := b.do(&s.step); err != nil {
			return err
		}
		s.tokens = append(s.tokens, tokens[:n]...)
		tokens = tokens[n:]
	}
	return nil
}

func (s *sequence) truncate(n int) {
	s.cache.Truncate(n)
	s.tokens = s.tokens[:n]
}

// commonPrefix is how many ids a and b start with in common.
func commonPrefix(a, b []int32) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
