package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"

	"causerie/models/gpt2"
	"causerie/pipeline/grammar"
	"causerie/pipeline/postprocess"
	"causerie/pipeline/sampling"
)

// maxReplies is how many replies one request may ask for.
const maxReplies = 128

// order is a checked request: what is to be written.
type order struct {
	prompt  []int32
	options Options
	ends    []int32
	text    postprocess.Options
	n       int // replies

	automaton *grammar.Automaton // nil: any text
}

// run has the loop write the replies and passes them on.
func (e *Engine) run(ctx context.Context, o order, emit func(Piece) error) ([]Reply, error) {
	if o.n < 1 || o.n > maxReplies {
		return nil, &OptionError{Field: "n", Problem: fmt.Sprintf("must lie between 1 and %d, not %d", maxReplies, o.n)}
	}
	if err := e.checkAdapter(o.options.Adapter); err != nil {
		return nil, err
	}
	r := newRequest(o.n, len(o.prompt), emit == nil)
	v, err := e.enter(ctx)
	if err != nil {
		return r.replies, err
	}
	defer v.leave()
	r.written = v.vacate
	seed := rand.Uint64()
	if o.options.Seed != nil {
		seed = *o.options.Seed
	}
	sequences := make([]*sequence, o.n)
	for i := range sequences {
		sequences[i] = e.sequence(r, i, o, seed)
	}
	e.loop.tell(func(in *inbox) { in.sequences = append(in.sequences, sequences...) })
	err = r.collect(v.ctx, emit)
	return r.replies, err
}

func (e *Engine) checkAdapter(a *gpt2.Adapter) error {
	if a != nil && !a.Fits(e.model.Net.Config) {
		return &OptionError{Field: "adapter", Problem: "was made for a model of another shape"}
	}
	return nil
}

// sequence makes one of an order's replies, with nothing computed yet.
func (e *Engine) sequence(r *request, index int, o order, seed uint64) *sequence {
	longest := min(o.options.MaxTokens, e.Context()-len(o.prompt))
	s := &sequence{
		request: r, index: index,
		tokens: append(make([]int32, 0, len(o.prompt)+longest), o.prompt...),
		prompt: len(o.prompt), adapter: o.options.Adapter,
		max: longest, min: o.options.MinTokens,
		ends:        o.ends,
		sampler:     sampling.New(o.options.Options, o.prompt, seed, o.options.Stream+uint64(index)),
		writer:      newWriter(e.model.Tokenizer, o.text),
		wantsTokens: o.options.LogProbs,
		wantsPrompt: o.options.PromptLogProbs && index == 0,
	}
	if o.automaton != nil {
		s.matcher = o.automaton.Matcher()
	}
	if s.wantsTokens || s.wantsPrompt {
		s.score = &scorer{tokenizer: e.model.Tokenizer, top: o.options.TopLogProbs}
	}
	if o.options.IgnoreEnd {
		s.ends = nil
	}
	return s
}
