package pipeline

import (
	"context"
	"fmt"
	"slices"

	"causerie/models"
	"causerie/models/kernels"
)

// Encoder owns a sentence encoder and embeds with it: an [Engine] for models
// that do not write. All its methods may be called from any goroutine.
type Encoder struct {
	model *models.Encoder
	pool  *kernels.Pool
	loop  *encoderLoop
	admission
	embedder embedder
}

// EncoderOptions say how much an encoder does at once. None of them changes a
// vector.
type EncoderOptions struct {
	// Threads that compute; 0 means one for each CPU.
	Threads int
	// DType is what the weights are kept in; nil means bfloat16 if they are
	// stored so, and float32 otherwise.
	DType *kernels.DType
	// MaxQueue is how many requests may run or wait; more are refused with
	// ErrBusy. 0 means 64.
	MaxQueue int
	// StepTokens is how many tokens of texts one step computes; requests take
	// turns within it. 0 means 512.
	StepTokens int
}

// EnsureDefaults fills the fields that may be left zero.
func (o *EncoderOptions) EnsureDefaults() {
	if o.MaxQueue == 0 {
		o.MaxQueue = 64
	}
	if o.StepTokens == 0 {
		o.StepTokens = 512
	}
}

// Validate names the first field that makes no sense.
func (o *EncoderOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"threads", o.Threads}, {"max_queue", o.MaxQueue}, {"step_tokens", o.StepTokens}} {
		if f.value < 0 || f.value > 1<<16 {
			return &OptionError{Field: f.name, Problem: fmt.Sprintf("must lie between 0 and %d, not %d", 1<<16, f.value)}
		}
	}
	return nil
}

// OpenEncoder loads a sentence encoder from its folder and makes an engine for
// it. Close it to end its goroutines.
func OpenEncoder(ctx context.Context, dir string, o EncoderOptions) (*Encoder, error) {
	m, err := models.OpenEncoder(ctx, dir, models.Options{DType: o.DType})
	if err != nil {
		return nil, err
	}
	return NewEncoder(m, o)
}

// NewEncoder makes an engine for an encoder. The model must not be changed any
// more. Close the engine to end its goroutines.
func NewEncoder(m *models.Encoder, o EncoderOptions) (*Encoder, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("encoder: %w", err)
	}
	o.EnsureDefaults()
	pooling, ok := sentencePoolings[m.Settings.Pooling]
	if !ok {
		return nil, fmt.Errorf("%s: unknown pooling %q", m.Name, m.Settings.Pooling)
	}
	e := &Encoder{model: m, pool: kernels.NewPool(o.Threads)}
	e.open(o.MaxQueue, 0)
	e.loop = newEncoderLoop(m.Net, e.pool, o.StepTokens)
	e.embedder = embedder{
		admission: &e.admission, poolings: slices.Concat([]Pooling{pooling}, encoderPoolings),
		width: e.Width(), limit: m.Settings.MaxTokens, vocab: m.Net.Config.VocabSize,
		tokens: func(in EmbedInput) ([]int32, error) { return e.tokens(in), nil },
		cut:    func(ids []int32, n int) []int32 { return append(ids[:n-1:n-1], m.SEP) },
		submit: e.loop.submit, wake: e.loop.rouse,
	}
	return e, nil
}

// sentencePoolings are this package's names of sentence-transformers' poolings.
// Vectors have length 1, so a sum over √n is the mean.
var sentencePoolings = map[string]Pooling{
	"cls": PoolCLS, "mean": PoolMean, "max": PoolMax, "mean_sqrt_len_tokens": PoolMean, "weightedmean": PoolDecayed, "lasttoken": PoolLast,
}

// tokens are an input's ids with [CLS] and [SEP] around them. A client that
// sends ids may have put these there already.
func (e *Encoder) tokens(in EmbedInput) []int32 {
	switch m := e.model; {
	case in.IDs == nil:
		return m.Tokens(in.Text)
	case in.IDs[0] == m.CLS:
		return in.IDs
	default:
		return append(append([]int32{m.CLS}, in.IDs...), m.SEP)
	}
}

// Name is the model's name.
func (e *Encoder) Name() string { return e.model.Name }

// Model is what the engine runs. It must not be changed.
func (e *Encoder) Model() *models.Encoder { return e.model }

// Width is how many numbers a vector of Embed has.
func (e *Encoder) Width() int { return e.model.Net.Config.Width }

// MaxTokens is how many tokens a text may have, [CLS] and [SEP] included.
func (e *Encoder) MaxTokens() int { return e.model.Settings.MaxTokens }

// Pooling is what the model's folder says.
func (e *Encoder) Pooling() Pooling { return e.embedder.poolings[0] }

// Embed turns texts into vectors of length 1. A text's vector has the same
// bits whatever other inputs and requests stand beside it.
func (e *Encoder) Embed(ctx context.Context, req EmbedRequest) (Embeddings, error) {
	if req.Adapter != nil {
		return Embeddings{}, &OptionError{Field: "adapter", Problem: "was made for a model of another kind"}
	}
	return e.embedder.embed(ctx, req)
}

// Close refuses new requests, waits for those that were accepted, and frees
// the engine. When ctx ends first, they are ended too, with ErrClosed, and
// Close returns ctx's error.
func (e *Encoder) Close(ctx context.Context) error {
	return e.close(ctx, func() {
		e.loop.close()
		e.pool.Close()
	})
}
