package pipeline

import (
	"context"
	"sync"
	"time"
)

// admission lets requests into an engine: so many at a time, and none once it
// is closed.
type admission struct {
	limit int // requests that may run or wait
	queue int // of these, such that wait

	ctx    context.Context // ends when a shutdown runs out of patience
	cancel context.CancelCauseFunc

	mu       sync.Mutex
	closed   bool
	accepted int           // requests that run or wait
	service  time.Duration // how long a request takes, averaged over the last ones
	requests sync.WaitGroup
	shut     sync.Once
}

func (a *admission) open(running, queue int) {
	a.limit, a.queue = running+queue, queue
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
}

// close refuses new requests and waits for those that were accepted; when ctx
// ends first, they are ended too. Then free is called, once.
func (a *admission) close(ctx context.Context, free func()) error {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		a.requests.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		err = ctx.Err()
		a.cancel(ErrClosed)
		<-drained
	}
	a.shut.Do(func() {
		a.cancel(ErrClosed)
		free()
	})
	return err
}

// enter accepts a request. The context it returns also ends when the engine
// is closed for good; leave must be called in the end.
func (a *admission) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	if err := a.accept(); err != nil {
		return nil, nil, err
	}
	start := time.Now()
	inner, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(a.ctx, func() { cancel(context.Cause(a.ctx)) })
	return inner, func() {
		unhook()
		cancel(nil)
		a.mu.Lock()
		a.accepted--
		a.service += (time.Since(start) - a.service) / 8
		a.mu.Unlock()
		a.requests.Done()
	}, nil
}

func (a *admission) accept() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closed:
		return ErrClosed
	case a.accepted >= a.limit:
		// A request's time holds its wait behind a queue as long as this one;
		// half of that, and half of the queue has had its turn.
		return &BusyError{Waiting: a.queue, After: max(time.Second, a.service/2)}
	}
	a.accepted++
	a.requests.Add(1)
	return nil
}
