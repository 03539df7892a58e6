package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-chi/chi/v5/middleware"
	"github.com/rs/zerolog"

	"causerie/pipeline"
)

// requestNote is what handlers want the request's log line to say.
type requestNote struct {
	model, key       string
	prompt, complete int
	first            time.Time // when the reply's first text was there
	replies          []replyNote
	spend            func(tokens int)
	lost             bool   // nothing is served at the path, or not by the method
	route            string // the pattern that the path fits; empty when lost
	finish           string
	prompted, reply  string // texts; logged only when asked for
	status           int    // set when the client could not be told
	err              error
}

// replyNote is what is told of each reply.
type replyNote struct {
	times           pipeline.Times
	cached, written int // tokens
}

type noteKey struct{}

// note lets f write into the request's log line.
func note(r *http.Request, f func(*requestNote)) {
	if n, ok := r.Context().Value(noteKey{}).(*requestNote); ok {
		f(n)
	}
}

// logged writes one line for every request, with its id, status, duration and
// what the handler noted, and counts it. Message texts are left out unless
// Options.LogText is set: what people say to a model is theirs. Headers and
// queries, where secrets travel, are never logged.
func (s *Server) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		n := &requestNote{}
		ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
		id := "req_" + rand.Text()
		ww.Header().Set("X-Request-Id", id)
		r, span := s.tracing.begin(r.WithContext(context.WithValue(r.Context(), noteKey{}, n)), id)
		s.metrics.running.Inc()
		defer func() {
			s.metrics.running.Dec()
			if n.status == 0 {
				n.status = max(ww.Status(), http.StatusOK)
			}
			if n.spend != nil {
				n.spend(n.prompt + n.complete)
			}
			s.metrics.observe(r, n, start)
			span.end(r, n)
			line := n.event(s.options.Log).Str("request_id", id).Str("method", r.Method).Str("path", r.URL.Path).
				Int("status", n.status).Int("bytes", ww.BytesWritten()).Dur("ms", time.Since(start))
			line = span.log(line)
			if s.options.LogText {
				line = line.Str("prompt", n.prompted).Str("reply", n.reply)
			}
			line.Msg("request")
		}()
		next.ServeHTTP(ww, r)
	})
}

// event chooses the level and adds what is known of the reply.
func (n *requestNote) event(log zerolog.Logger) *zerolog.Event {
	line := log.Info()
	if n.status >= http.StatusInternalServerError && n.status != http.StatusServiceUnavailable {
		line = log.Error()
	}
	if n.err != nil {
		line = line.AnErr("error", n.err)
	}
	if n.key != "" {
		line = line.Str("key", n.key)
	}
	if n.model != "" {
		line = line.Str("model", n.model).Int("prompt_tokens", n.prompt).
			Int("completion_tokens", n.complete).Str("finish_reason", n.finish)
	}
	return line
}

// recovered turns a panic into a 500 for this request; the others go on.
func (s *Server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			s.options.Log.Error().Str("request_id", w.Header().Get("X-Request-Id")).
				Str("panic", fmt.Sprint(p)).Bytes("stack", debug.Stack()).Msg("a handler panicked")
			fail(w, r, fmt.Errorf("panic: %v", p))
		}()
		next.ServeHTTP(w, r)
	})
}
