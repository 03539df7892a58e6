package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// request is what a caller asked for: one or more replies to one prompt. The
// loop writes them; what comes of it waits in a buffer for the caller's
// goroutine, so that a slow reader holds nothing up. The buffer is bounded by
// the length of the replies.
type request struct {
	replies []Reply
	told    []int       // how many of each reply's LogProbs a piece has carried
	gone    atomic.Bool // the caller has left; the loop drops the sequences

	silent  bool   // the caller wants no pieces: it is woken at the end only
	written func() // called when all replies are complete, be they read or not
	wake    chan struct{}
	mu      sync.Mutex
	events  []event
	ended   int // replies that are complete
}

// event is something that happened to one of the replies.
type event struct {
	reply    int
	token    bool // one was written: id
	counted  bool // … that did not end the reply
	id       int32
	text     string
	logProb  *LogProb
	begun    bool         // the sequence has its place, and
	cached   int          // prompt tokens that need no computing
	at       time.Time    // when it got its place, or its first or last token
	finish   FinishReason // the reply is complete
	err      error        // the request has failed
	prompted []LogProb    // of prompt tokens
}

func newRequest(n, promptTokens int, silent bool) *request {
	r := &request{replies: make([]Reply, n), told: make([]int, n), silent: silent, wake: make(chan struct{}, 1)}
	now := time.Now()
	for i := range r.replies {
		r.replies[i].PromptTokens = promptTokens
		r.replies[i].Times.Queued = now
	}
	return r
}

// post adds an event; any goroutine may call it.
func (r *request) post(e event) {
	r.mu.Lock()
	r.events = append(r.events, e)
	if e.finish != "" {
		r.ended++
	}
	all := e.finish != "" && r.ended == len(r.replies)
	r.mu.Unlock()
	if all && r.written != nil {
		r.written()
	}
	if r.silent && e.err == nil && e.finish == "" {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // it was woken already
	}
}

// take returns the events since the last time, in the order they happened.
func (r *request) take(spare []event) []event {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.events
	r.events = spare[:0]
	return out
}

// collect passes events on until every reply is complete. It is the only part
// of a request that runs on the caller's goroutine.
func (r *request) collect(ctx context.Context, emit func(Piece) error) error {
	defer r.gone.Store(true)
	var events []event
	for open := len(r.replies); open > 0; {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		events = r.take(events)
		for i := range events {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			if err := r.apply(&events[i], emit); err != nil {
				return err
			}
			if events[i].finish != "" {
				open--
			}
		}
	}
	return nil
}

// pass notes the stages that an event begins or ends.
func (t *Times) pass(e *event) {
	if e.begun {
		t.Begun = e.at
	}
	if e.token && t.First.IsZero() {
		t.First = e.at
	}
	if e.finish != "" {
		t.Done = e.at
	}
}

// apply adds an event to its reply and shows its text.
func (r *request) apply(e *event, emit func(Piece) error) error {
	if e.err != nil {
		return e.err
	}
	reply := &r.replies[e.reply]
	reply.CachedTokens += e.cached
	reply.Times.pass(e)
	reply.PromptLogProbs = append(reply.PromptLogProbs, e.prompted...)
	if e.token {
		reply.IDs = append(reply.IDs, e.id)
	}
	if e.counted {
		reply.CompletionTokens++
	}
	if e.logProb != nil {
		reply.LogProbs = append(reply.LogProbs, *e.logProb)
	}
	reply.Text += e.text
	if e.finish != "" {
		reply.FinishReason = e.finish
	}
	if emit == nil || e.text == "" && e.finish == "" {
		return nil
	}
	told := r.told[e.reply]
	r.told[e.reply] = len(reply.LogProbs)
	p := Piece{Index: e.reply, Text: e.text, FinishReason: e.finish, LogProbs: reply.LogProbs[told:]}
	if err := emit(p); err != nil {
		return fmt.Errorf("passing the reply on: %w", err)
	}
	return nil
}
