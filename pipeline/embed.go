package pipeline

import (
	"context"
	"fmt"
	"math"
	"strings"

	"causerie/models/gpt2"
)

// Pooling says how the hidden states of a text's tokens become one vector.
type Pooling string

const (
	// PoolMean is the mean of all tokens' hidden states.
	PoolMean Pooling = "mean"
	// PoolLast is the hidden state of the last token, the only one of a
	// decoder that has seen the whole text.
	PoolLast Pooling = "last"
	// PoolDecayed is a mean whose weights decay evenly from the last token to
	// the first, as later tokens have seen more: Muennighoff (2022), section 3.1.
	PoolDecayed Pooling = "decayed"
)

// ParsePooling turns a name into a Pooling.
func ParsePooling(name string) (Pooling, error) {
	switch p := Pooling(name); p {
	case PoolMean, PoolLast, PoolDecayed:
		return p, nil
	}
	return "", fmt.Errorf("unknown pooling %q (known are mean, last and decayed)", name)
}

// weight is what token i of n counts, before the vector is normalised.
func (p Pooling) weight(i, n int) float64 {
	switch {
	case p == PoolDecayed:
		return float64(i+1) / float64(n)
	case p == PoolLast && i < n-1:
		return 0
	}
	return 1
}

// EmbedInput is one text to embed, or its token ids.
type EmbedInput struct {
	Text string
	IDs  []int32 // used when it is not nil
}

// EmbedRequest asks for vectors.
type EmbedRequest struct {
	Inputs  []EmbedInput
	Pooling Pooling // PoolMean when empty
	// Dimensions, if not 0, cuts the vectors off after so many numbers.
	Dimensions int
	// Adapter is what the texts go through besides the model, as in Options.
	Adapter *gpt2.Adapter
}

// Embeddings are the vectors of an EmbedRequest's inputs, in their order.
type Embeddings struct {
	Vectors [][]float32 // each of length 1, of [Engine.Width] or Dimensions numbers
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
	if req.Pooling == "" {
		req.Pooling = PoolMean
	}
	if _, err := ParsePooling(string(req.Pooling)); err != nil {
		return Embeddings{}, err
	}
	if req.Dimensions < 0 || req.Dimensions > e.Width() {
		return Embeddings{}, &OptionError{
			Field: "dimensions", Problem: fmt.Sprintf("must lie between 1 and %d, the model's width, not %d", e.Width(), req.Dimensions),
		}
	}
	if req.Dimensions == 0 {
		req.Dimensions = e.Width()
	}
	if err := e.checkAdapter(req.Adapter); err != nil {
		return Embeddings{}, err
	}
	segments, err := e.embedSegments(req.Inputs)
	if err != nil {
		return Embeddings{}, err
	}
	for i := range segments {
		segments[i].Adapter = req.Adapter
	}
	if len(segments) == 0 {
		return Embeddings{Vectors: [][]float32{}}, nil
	}
	inner, leave, err := e.enter(ctx)
	if err != nil {
		return Embeddings{}, err
	}
	defer leave()
	job := newEmbedJob(req, segments)
	defer job.gone.Store(true)
	e.loop.tell(func(in *inbox) { in.embeds = append(in.embeds, job) })
	select {
	case err := <-job.done:
		return job.out, err
	case <-inner.Done():
		return Embeddings{}, context.Cause(inner)
	}
}

// embedSegments checks the inputs and turns them into token ids.
func (e *Engine) embedSegments(inputs []EmbedInput) ([]gpt2.Segment, error) {
	segments := make([]gpt2.Segment, len(inputs))
	for i, in := range inputs {
		ids := in.IDs
		if ids == nil {
			if e.model.Tokenizer == nil {
				return nil, ErrNoTokenizer
			}
			if strings.TrimSpace(in.Text) != "" {
				ids = e.model.Tokenizer.Encode(nil, in.Text)
			}
		}
		switch {
		case len(ids) == 0:
			return nil, &InputError{Index: i, Problem: "is empty; there is nothing to embed"}
		case len(ids) > e.Context():
			return nil, &InputError{Index: i, TooLong: true,
				Problem: fmt.Sprintf("has %d tokens, but the model's context holds %d", len(ids), e.Context())}
		}
		if err := e.checkIDs(ids); err != nil {
			return nil, &InputError{Index: i, Problem: "is refused: " + err.Error()}
		}
		segments[i].Tokens = ids
	}
	return segments, nil
}

// normalised is the vector of length 1 in x's direction; the zero vector stays.
func normalised(x []float64) []float32 {
	square := 0.0
	for _, v := range x {
		square += v * v
	}
	length := math.Sqrt(square)
	if length == 0 {
		length = 1
	}
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v / length)
	}
	return out
}

// growTo returns a slice of n elements, of buf's memory if that is enough.
func growTo(buf []float32, n int) []float32 {
	if cap(buf) < n {
		return make([]float32, n)
	}
	return buf[:n]
}
