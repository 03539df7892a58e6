package pipeline

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// EngineOptions say how much an engine does at once.
type EngineOptions struct {
	// Threads that compute; 0 means one for each CPU.
	Threads int
	// DType is how the weights are kept while serving.
	DType kernels.DType
	// MaxSequences is how many replies are written at the same time. Each
	// needs the memory of a KV cache, which is taken when it is first needed.
	// 0 means 8.
	MaxSequences int
	// MaxQueue is how many requests may wait for their turn besides; more are
	// refused with ErrBusy. 0 means 64.
	MaxQueue int
}

// EnsureDefaults fills the fields that may be left zero.
func (o *EngineOptions) EnsureDefaults() {
	if o.MaxSequences == 0 {
		o.MaxSequences = 8
	}
	if o.MaxQueue == 0 {
		o.MaxQueue = 64
	}
}

// Validate names the first field that makes no sense.
func (o *EngineOptions) Validate() error {
	for _, f := range []struct {
		name  string
		value int
	}{{"threads", o.Threads}, {"max_sequences", o.MaxSequences}, {"max_queue", o.MaxQueue}} {
		if f.value < 0 || f.value > 1<<16 {
			return &OptionError{Field: f.name, Problem: fmt.Sprintf("must lie between 0 and %d, not %d", 1<<16, f.value)}
		}
	}
	return nil
}

// Engine owns a model and answers requests with it, several at a time. All its
// methods may be called from any goroutine.
//
// Requests are served in the order of their arrival. Which of them run
// together, and what ran before, changes no reply.
type Engine struct {
	model   Model
	options EngineOptions
	pool    *kernels.Pool
	batcher *batcher
	turns   *semaphore.Weighted // one unit for each sequence; first come, first served

	ctx    context.Context // ends when a shutdown runs out of patience
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	closed   bool
	accepted int // requests that run or wait
	idle     []*sequence
	made     int // sequences, idle or not
	clock    uint64
	requests sync.WaitGroup
	shut     sync.Once
}

// NewEngine makes an engine. It takes the model over: the weights are laid out
// for serving (see [gpt2.Model.Freeze]) and must not be changed any more.
// Close it to end its goroutines.
func NewEngine(model Model, options EngineOptions) (*Engine, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	options.EnsureDefaults()
	if model.Net == nil {
		return nil, errors.New("engine: the model has no network")
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
		turns:   semaphore.NewWeighted(int64(options.MaxSequences)),
	}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	model.Net.Freeze(e.pool, options.DType)
	e.batcher = newBatcher(gpt2.NewRunner(model.Net, e.pool))
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
		e.batcher.close()
		e.pool.Close()
	})
	return err
}

// enter accepts a request and waits for its turn. The context it returns also
// ends when the engine is closed for good; leave must be called in the end.
func (e *Engine) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	if err := e.accept(); err != nil {
		return nil, nil, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(e.ctx, func() { cancel(context.Cause(e.ctx)) })
	finish := func() {
		unhook()
		cancel(nil)
		e.mu.Lock()
		e.accepted--
		e.mu.Unlock()
		e.requests.Done()
	}
	if err := e.turns.Acquire(inner, 1); err != nil {
		err = context.Cause(inner)
		finish()
		return nil, nil, err
	}
	e.batcher.active.Add(1)
	return inner, func() {
		e.batcher.active.Add(-1)
		e.turns.Release(1)
		finish()
	}, nil
}

func (e *Engine) accept() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return ErrClosed
	case e.accepted >= e.options.MaxSequences+e.options.MaxQueue:
		return ErrBusy
	}
	e.accepted++
	e.requests.Add(1)
	return nil
}

// take chooses a sequence for a prompt: the one that already holds most of it,
// if that is at least half of what it holds; otherwise a new one; otherwise
// the one that was not used for longest.
func (e *Engine) take(prompt []int32) *sequence {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.clock++
	best, shared := -1, 0
	for i, s := range e.idle {
		if n := commonPrefix(s.tokens, prompt); n > shared && 2*n >= len(s.tokens) {
			best, shared = i, n
		}
	}
	if best < 0 && e.made < e.options.MaxSequences {
		e.made++
		return &sequence{
			cache:  e.model.Net.NewCache(),
			step:   step{done: make(chan error, 1)},
			logits: make([]float32, e.model.Net.Config.VocabSize),
			used:   e.clock,
		}
	}
	if best < 0 {
		best = 0
		for i, s := range e.idle {
			if s.used < e.idle[best].used {
				best = i
			}
		}
	}
	s := e.idle[best]
	e.idle = append(e.idle[:best], e.idle[best+1:]...)
	s.used = e.clock
	return s
}

func (e *Engine) giveBack(s *sequence) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.idle = append(e.idle, s)
}
