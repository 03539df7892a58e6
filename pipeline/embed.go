package pipeline

import (
	"context"
	"fmt"
	"strings"

	"causerie/models/gpt2"
)

// EmbedInput is one text to embed, or its token ids.
type EmbedInput struct {
	Text string
	IDs  []int32 // used when it is not nil
}

// EmbedRequest asks for vectors.
type EmbedRequest struct {
	Inputs  []EmbedInput
	Pooling Pooling // when empty PoolMean, or what an encoder's folder says
	// Dimensions, if not 0, cuts the vectors off after so many numbers.
	Dimensions int
	// Adapter is what the texts go through besides the model, as in Options.
	Adapter *gpt2.Adapter
	// Truncate leaves out what is beyond the model's limit of a text that is too
	// long, instead of refusing it.
	Truncate bool
	// Emit, if not nil, gets each vector as soon as it is there, in the order of
	// the inputs, instead of Embeddings. An error of it ends the request. What
	// is computed ahead of it is bounded, however many inputs there are.
	Emit func(index int, vector []float32) error
}

// Embeddings are the vectors of an EmbedRequest's inputs, in their order.
type Embeddings struct {
	Vectors [][]float32 // each of length 1, of the model's width or Dimensions numbers
	Tokens  int         // of all inputs together
}

// InputError refuses one of several inputs.
type InputError struct {
	Index   int // from 0
	Problem string
	TooLong bool // for the model's context
}

// Error names the input.
func (e *InputError) Error() string { return fmt.Sprintf("input %d %s", e.Index, e.Problem) }

// Width is how many numbers a vector of Embed has.
func (e *Engine) Width() int { return e.model.Net.Config.Width }

// Embed turns texts into vectors of length 1. A text's vector has the same
// bits whatever other inputs stand beside it.
func (e *Engine) Embed(ctx context.Context, req EmbedRequest) (Embeddings, error) {
	if err := e.checkAdapter(req.Adapter); err != nil {
		return Embeddings{}, err
	}
	return e.embedder.embed(ctx, req)
}

// newEmbedder is what embeds with the engine's loop.
func (e *Engine) newEmbedder() embedder {
	return embedder{
		admission: &e.admission, poolings: decoderPoolings,
		width: e.Width(), limit: e.Context(), vocab: e.model.Net.Config.VocabSize,
		tokens: func(in EmbedInput) ([]int32, error) {
			switch {
			case in.IDs != nil:
				return in.IDs, nil
			case e.model.Tokenizer == nil:
				return nil, ErrNoTokenizer
			}
			return e.model.Tokenizer.Encode(nil, in.Text), nil
		},
		cut:    func(ids []int32, n int) []int32 { return ids[:n] },
		submit: func(j *embedJob) { e.loop.tell(func(in *inbox) { in.embeds = append(in.embeds, j) }) },
		wake:   func() { e.loop.tell(func(*inbox) {}) },
	}
}

// embedder checks embedding requests and has a loop compute them. The loop is
// that of a decoder, which embeds beside writing, or of an encoder.
type embedder struct {
	admission           *admission
	poolings            []Pooling // the first is the default
	width, limit, vocab int

	tokens func(EmbedInput) ([]int32, error) // of an input that is not empty
	cut    func(ids []int32, n int) []int32  // the first n tokens of a text
	submit func(*embedJob)                   // hands a job to the loop
	wake   func()                            // tells it that a job has room again
}

func (e *embedder) embed(ctx context.Context, req EmbedRequest) (Embeddings, error) {
	if req.Pooling == "" {
		req.Pooling = e.poolings[0]
	}
	if err := req.Pooling.check(e.poolings); err != nil {
		return Embeddings{}, err
	}
	if req.Dimensions < 0 || req.Dimensions > e.width {
		return Embeddings{}, &OptionError{
			Field: "dimensions", Problem: fmt.Sprintf("must lie between 1 and %d, the model's width, not %d", e.width, req.Dimensions),
		}
	}
	if req.Dimensions == 0 {
		req.Dimensions = e.width
	}
	out := Embeddings{}
	texts, err := e.texts(req)
	if err != nil {
		return out, err
	}
	for _, ids := range texts {
		out.Tokens += len(ids)
	}
	emit := req.Emit
	if emit == nil {
		out.Vectors = make([][]float32, len(texts))
		emit = func(i int, v []float32) error { out.Vectors[i] = v; return nil }
	}
	if len(texts) == 0 {
		return out, nil
	}
	v, err := e.admission.enter(ctx)
	if err != nil {
		return Embeddings{}, err
	}
	defer v.leave()
	job := newEmbedJob(req, texts)
	defer job.gone.Store(true)
	e.submit(job)
	if err := job.deliver(v.ctx, emit, e.wake); err != nil {
		return Embeddings{}, err
	}
	return out, nil
}

// texts checks the inputs and turns them into token ids.
func (e *embedder) texts(req EmbedRequest) ([][]int32, error) {
	texts := make([][]int32, len(req.Inputs))
	for i, in := range req.Inputs {
		if in.IDs == nil && strings.TrimSpace(in.Text) == "" || in.IDs != nil && len(in.IDs) == 0 {
			return nil, &InputError{Index: i, Problem: "is empty; there is nothing to embed"}
		}
		ids, err := e.tokens(in)
		switch {
		case err != nil:
			return nil, err
		case len(ids) > e.limit && req.Truncate:
			ids = e.cut(ids, e.limit)
		case len(ids) > e.limit:
			return nil, &InputError{Index: i, TooLong: true,
				Problem: fmt.Sprintf("has %d tokens, but the model's context holds %d", len(ids), e.limit)}
		}
		if err := checkIDs(ids, e.vocab); err != nil {
			return nil, &InputError{Index: i, Problem: "is refused: " + err.Error()}
		}
		texts[i] = ids
	}
	return texts, nil
}

// growTo returns a slice of n elements, of buf's memory if that is enough.
func growTo(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}
