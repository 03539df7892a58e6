package pipeline

import (
	"context"
	"sync"
	"time"
)

// places counts the requests that an engine has accepted, and says of the next
// one whether it is accepted too.
type places struct {
	slots, queue int // requests that are computed and that wait, at most

	mu     sync.Mutex
	closed bool
	taken  int // by requests that are computed or wait
	unread int // requests that are computed, but not yet read to their end
	turns  turns

	gap   time.Duration // from the end of one request to that of the next while others wait, averaged
	ended time.Time     // when the last one did while others waited

	requests sync.WaitGroup // that have not left
}

// place is what an accepted request has until it leaves.
type place struct {
	of            *places
	vacated, left bool
}

// take accepts a request of a client, or says why not.
func (p *places) take(client string) (*place, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	now := time.Now()
	p.turns.lapse(now)
	// Half of the queue is for those who were refused before this client came: a
	// client that has just been served and asks again at once would else take
	// every place that it leaves.
	free := p.slots + p.queue - p.taken - min(p.turns.before(client), (p.queue+1)/2)
	if free <= 0 {
		return nil, &BusyError{Waiting: p.queue, After: p.turns.give(client, now, p.gap)}
	}
	p.turns.end(client)
	p.taken++
	p.requests.Add(1)
	return &place{of: p}, nil
}

// vacate gives the place to others: nothing is to be computed any more. The
// client may still be reading; requests that only wait for that are allowed to
// be as many as the queue is long, and keep their places beyond.
func (p *place) vacate() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if p.of.unread < p.of.queue && !p.vacated && !p.left {
		p.of.unread++
		p.vacated = true
		p.of.free()
	}
}

// leave ends the request.
func (p *place) leave() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	defer p.of.requests.Done()
	p.left = true
	if p.vacated {
		p.of.unread--
		return
	}
	p.of.free()
}

// gaps is over how many gaps the average goes.
const gaps = 32

// free takes a request off the count; p is locked.
func (p *places) free() {
	ended := p.ended
	p.ended = time.Time{}
	if p.taken > p.slots { // others wait
		p.ended = time.Now()
		if gap := p.ended.Sub(ended); ended.IsZero() {
			// They have not waited since then.
		} else if p.gap == 0 {
			p.gap = gap
		} else {
			p.gap += (gap - p.gap) / gaps
		}
	}
	p.taken--
}

// close refuses all from now on.
func (p *places) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

type clientKey struct{}

// WithClient says for whom requests with the context are made: any name that
// stays the same, such as the address of a connection. When an engine is busy,
// it refuses requests but remembers their clients, and clients who come back
// when they were told to go before others. Requests without a client are not
// remembered.
func WithClient(ctx context.Context, client string) context.Context {
	return context.WithValue(ctx, clientKey{}, client)
}

func clientOf(ctx context.Context) string {
	client, _ := ctx.Value(clientKey{}).(string)
	return client
}
