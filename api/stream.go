package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// eventStream writes server-sent events, each flushed at once.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// newEventStream starts the answer: from here on errors travel in the stream.
func newEventStream(w http.ResponseWriter) *eventStream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no") // proxies must not collect a stream
	w.WriteHeader(http.StatusOK)
	return &eventStream{w: w, control: http.NewResponseController(w)}
}

// send writes one event with a JSON body.
func (s *eventStream) send(body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return s.raw(b)
}

// done writes the event that ends a stream of OpenAI's.
func (s *eventStream) done() error { return s.raw([]byte("[DONE]")) }

func (s *eventStream) raw(data []byte) error { return s.write("data: %s\n\n", data) }

func (s *eventStream) write(format string, args ...any) error {
	if _, err := fmt.Fprintf(s.w, format, args...); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return s.control.Flush()
}

// lateStream opens its event stream with the first event, so that a request
// that fails before it still gets a status code of its own.
type lateStream struct {
	w      http.ResponseWriter
	events *eventStream
}

func (s *lateStream) open() *eventStream {
	if s.events == nil {
		s.events = newEventStream(s.w)
	}
	return s.events
}

func (s *lateStream) send(body any) error { return s.open().send(body) }

// sendAs is send for an event with an id, which clients that come again name.
func (s *lateStream) sendAs(id string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	return s.open().write("id: %s\ndata: %s\n\n", id, b)
}

// comment sends what clients ignore.
func (s *lateStream) comment() error { return s.open().write(": still here\n\n") }

// end ends the stream with [DONE], or with what went wrong, once that is all
// that can be done: without [DONE] clients know that the reply is not whole.
func (s *lateStream) end(r *http.Request, err error) error {
	if s.events == nil && err != nil {
		return err
	}
	if err == nil {
		err = s.open().done()
	}
	if err == nil {
		return nil
	}
	e := toError(err)
	if r.Context().Err() != nil {
		e = toError(context.Cause(r.Context()))
	}
	note(r, func(n *requestNote) { n.err, n.status = err, e.Status })
	if e.Status != statusClientGone {
		_ = s.events.send(e) // a client that cannot be told is not told
	}
	return nil
}
