package api

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/cors"

	"causerie/pipeline"
)

// secured sets the headers that keep browsers from doing with answers what
// nobody asked them to.
func (s *Server) secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// knownHost answers only requests for one of Options.Hosts, if there are any. A
// web page whose name was made to lead to 127.0.0.1 asks for its own name.
func (s *Server) knownHost(next http.Handler) http.Handler {
	if len(s.options.Hosts) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		host = strings.ToLower(strings.Trim(host, "[]"))
		if !slices.Contains(s.options.Hosts, host) {
			fail(w, r, &Error{
				Status: http.StatusForbidden, Type: "invalid_request_error", Code: "unknown_host",
				Message: fmt.Sprintf("this server does not answer for the host %q", host),
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// crossOrigin says which web pages of other origins may use the API: those of
// Options.Origins. A page of any other gets no answer that its browser would
// show it, and cannot make the server work either.
func (s *Server) crossOrigin(next http.Handler) (http.Handler, error) {
	protection := http.NewCrossOriginProtection()
	anybody := slices.Contains(s.options.Origins, "*")
	for _, origin := range s.options.Origins {
		if origin == "*" {
			continue
		}
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("api: the origin %q: %w", origin, err)
		}
	}
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &Error{
			Status: http.StatusForbidden, Type: "invalid_request_error", Code: "cross_origin",
			Message: fmt.Sprintf("web pages of %q may not use this server", r.Header.Get("Origin")),
		})
	}))
	if !anybody {
		next = protection.Handler(next)
	}
	if len(s.options.Origins) == 0 {
		return next, nil
	}
	return cors.Handler(cors.Options{
		AllowedOrigins: s.options.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{"*"}, // the SDKs send a dozen of their own
		ExposedHeaders: []string{"X-Request-Id", "Retry-After", "X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests",
			"X-Ratelimit-Reset-Requests", "X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens"},
		MaxAge: 300,
	})(next), nil
}

type untimedKey struct{}

// untimed is the request's context without the limit of time.
func untimed(r *http.Request) context.Context {
	if ctx, ok := r.Context().Value(untimedKey{}).(context.Context); ok {
		return ctx
	}
	return r.Context()
}

// bounded ends requests that take longer than Options.Timeout, and connections
// whose client takes longer than writeTime to receive a piece of the answer. To
// a busy engine a connection is a client.
func (s *Server) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client := pipeline.WithClient(r.Context(), r.RemoteAddr)
		ctx, cancel := context.WithTimeout(context.WithValue(client, untimedKey{}, client), s.options.Timeout)
		defer cancel()
		control := http.NewResponseController(w)
		// The deadline of the connection's request before this one.
		_ = control.SetWriteDeadline(time.Time{})
		next.ServeHTTP(&patientWriter{w, control, s.writeTime}, r.WithContext(ctx))
	})
}

// writeTime is how long a client may take to receive a piece of the answer. Who
// reads slower than that holds a place that others wait for.
const writeTime = 30 * time.Second

// patientWriter renews the connection's deadline with every write. Connections
// without deadlines, as in some tests, write without one.
type patientWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	patience time.Duration
}

func (w *patientWriter) Write(p []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.patience))
	return w.ResponseWriter.Write(p)
}

func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
