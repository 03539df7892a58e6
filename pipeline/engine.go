package pipeline

import (
	"context"
	"errors"
	"fmt"

	"causerie/models/kernels"
)

// Engine owns a model and answers requests with it, several at a time. All its
// methods may be called from any goroutine.
//
// Requests are served in the order of their arrival; one that asks for several
// replies gets places for them as others leave it any. Which of them run
// together, and what ran before, changes no reply.
type Engine struct {
	model   Model
	options EngineOptions
	pool    *kernels.Pool
	loop    *loop
	forms   forms

	admission
	embedder embedder
}

// NewEngine makes an engine. It takes the model over: the weights are laid out
// for serving (see [gpt2.Model.Freeze]), unless they are already, and must not
// be changed any more.
// Close it to end its goroutines.
func NewEngine(model Model, options EngineOptions) (*Engine, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if model.Net == nil {
		return nil, errors.New("engine: the model has no network")
	}
	options.EnsureDefaults()
	if err := options.fit(model.Net); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	if model.Tokenizer != nil && model.Template == nil {
		return nil, errors.New("engine: the model has a tokenizer but no template")
	}
	for _, o := range []*Options{&model.Chat, &model.Generate} {
		o.EnsureDefaults()
		if err := o.validateFor(model.Net.Config.VocabSize); err != nil {
			return nil, fmt.Errorf("engine: the model's default options: %w", err)
		}
	}
	e := &Engine{
		model:   model,
		options: options,
		pool:    kernels.NewPool(options.Threads),
	}
	e.open(options.MaxSequences, options.MaxQueue)
	model.Net.Freeze(e.pool, options.dtype())
	e.loop = newLoop(model.Net, e.pool, options)
	e.embedder = e.newEmbedder()
	return e, nil
}

// Name is the model's name.
func (e *Engine) Name() string { return e.model.Name }

// ChatDefaults are the options that suit the model in a conversation. The
// caller may change them.
func (e *Engine) ChatDefaults() Options { return e.model.Chat.clone() }

// GenerateDefaults are the options that suit the model when it continues a
// text. The caller may change them.
func (e *Engine) GenerateDefaults() Options { return e.model.Generate.clone() }

// Context is how many tokens prompt and reply may have together.
func (e *Engine) Context() int { return e.model.Context() }

// Model is what the engine runs. It must not be changed.
func (e *Engine) Model() *Model { return &e.model }

// Close refuses new requests, waits for those that were accepted, and frees
// the engine. When ctx ends first, they are ended too, with ErrClosed, and
// Close returns ctx's error.
func (e *Engine) Close(ctx context.Context) error {
	return e.close(ctx, func() {
		e.loop.close()
		e.pool.Close()
	})
}
