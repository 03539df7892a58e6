package pipeline

import (
	"context"
	"sync"
)

// admission lets requests into an engine: as many as there are places, and none
// once it is closed.
type admission struct {
	places places

	ctx    context.Context // ends when a shutdown runs out of patience
	cancel context.CancelCauseFunc
	shut   sync.Once
}

func (a *admission) open(running, queue int) {
	a.places.slots, a.places.queue = running, queue
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
}

// close refuses new requests and waits for those that were accepted; when ctx
// ends first, they are ended too. Then free is called, once.
func (a *admission) close(ctx context.Context, free func()) error {
	a.places.close()
	drained := make(chan struct{})
	go func() {
		a.places.requests.Wait()
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

// visit is a request that was accepted; leave must be called in the end.
type visit struct {
	*place
	ctx   context.Context // that of the request, which also ends when the engine is closed for good
	close func()
}

// enter accepts a request.
func (a *admission) enter(ctx context.Context) (*visit, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	p, err := a.places.take(clientOf(ctx))
	if err != nil {
		return nil, err
	}
	inner, cancel := context.WithCancelCause(ctx)
	unhook := context.AfterFunc(a.ctx, func() { cancel(context.Cause(a.ctx)) })
	return &visit{p, inner, func() {
		unhook()
		cancel(nil)
	}}, nil
}

func (v *visit) leave() {
	v.close()
	v.place.leave()
}
