package openai

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watch ends a request whose server has fallen silent.
type watch struct {
	timer *time.Timer
	after time.Duration
}

func newWatch(after time.Duration, cancel context.CancelCauseFunc) *watch {
	return &watch{after: after, timer: time.AfterFunc(after, func() {
		cancel(fmt.Errorf("the server has been silent for %s", after))
	})}
}

// heard starts the wait anew.
func (w *watch) heard() { w.timer.Reset(w.after) }

func (w *watch) stop() { w.timer.Stop() }

// watchedReader reads an answer and tells the watch of every part of it.
type watchedReader struct {
	io.Reader
	watch *watch
	ctx   context.Context
}

// Read implements io.Reader.
func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.watch.heard()
	if cause := context.Cause(r.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause // why the body was closed, instead of that it was
	}
	return n, err
}
