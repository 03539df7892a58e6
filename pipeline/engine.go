package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

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

	ctx    context.Context // ends when a shutdown runs out of patience
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	closed   bool
	accepted int           // requests that run or wait
	service  time.Duration // how long a request takes, averaged over the last ones
	requests sync.WaitGroup
	shut     sync.Once
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
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	model.Net.Freeze(e.pool, options.dtype())
	e.loop = newLoop(model.Net, e.pool, options)
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
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		e.requests.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
		e.cancel(ErrClosed)
		<-drained
	}
	e.shut.Do(func() {
		e.cancel(ErrClosed)
		e.loop.close()
		e.pool.Close()
	})
	return err
}

// enter accepts a request. The context it returns also ends when the engine
// is closed for good; leave must be called in the end.
func (e *Engine) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if err := e.accept(); err != nil {
		return nil, nil, err
	}
	start := time.Now()
	inner, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(e.ctx, func() { cancel(context.Cause(e.ctx)) })
	return inner, func() {
		unhook()
		cancel(nil)
		e.mu.Lock()
		e.accepted--
		e.service += (time.Since(start) - e.service) / 8
		e.mu.Unlock()
		e.requests.Done()
	}, nil
}

func (e *Engine) accept() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case e.accepted >= e.options.MaxSequences+e.options.MaxQueue:
		// A request's time holds its wait behind a queue as long as this one;
		// half of that, and half of the queue has had its turn.
		return &BusyError{Waiting: e.options.MaxQueue, After: max(time.Second, e.service/2)}
	}
	e.accepted++
	e.requests.Add(1)
	return nil
}
