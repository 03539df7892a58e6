package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"causerie/api/store"
	"causerie/finetune/files"
	"causerie/finetune/jobs"
	"causerie/pipeline"
)

// Options of a Server. The zero value is usable, for clients that are trusted.
type Options struct {
	// Log receives one line a request and the server's own messages.
	Log zerolog.Logger
	// LogText adds the text of prompts and replies to the request's line.
	LogText bool
	// Drain is how long running replies may take after the server was asked
	// to stop; 0 means 20 seconds.
	Drain time.Duration
	// Timeout is how long a request may take in all; 0 means 10 minutes.
	Timeout time.Duration
	// Store keeps stored completions, conversations and API keys; nil refuses
	// them. Its owner closes it after the server has stopped.
	Store *store.Store
	// Files and Jobs are for fine-tuning, together or not at all: nil refuses
	// it. Their owner closes them after the server has stopped.
	Files *files.Files
	Jobs  *jobs.Service
	// Engines open the models that jobs have made and that are not adapters of
	// the server's own model. It may be nil without Jobs.
	Engines *pipeline.Shelf

	// Stopping, if not nil, is called when the server was asked to stop, while
	// replies under way finish: who works in the background saves what there is.
	// Serve waits for it. Its context ends with the drain time.
	Stopping func(context.Context) error

	// Auth asks every request under /v1, and for /metrics, for an API key of
	// the store.
	Auth bool
	// Hosts, if there are any, are the only names that requests may be for,
	// in lower case and without ports.
	Hosts []string
	// Origins are the web origins whose pages may use the API, such as
	// "https://example.org"; "*" is any. None are by default.
	Origins []string
	// RequestsPerMinute and TokensPerMinute bound what each client may ask
	// for; 0 is without bound.
	RequestsPerMinute, TokensPerMinute int
	// Pprof answers under /debug/pprof with profiles of the process, for API keys
	// of the scope admin.
	Pprof bool
	// Tracer, if not nil, gets a span of every request, with the stages of its
	// replies below.
	Tracer trace.TracerProvider
	// TLS, if not nil, has the certificate to speak TLS with.
	TLS *tls.Config
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Minute
	}
}

// Validate says what makes the options unusable.
func (o Options) Validate() error {
	switch {
	case o.Drain < 0:
		return fmt.Errorf("api: the drain time %s is negative", o.Drain)
	case o.Timeout < 0:
		return fmt.Errorf("api: the time limit %s is negative", o.Timeout)
	case o.RequestsPerMinute < 0 || o.TokensPerMinute < 0:
		return fmt.Errorf("api: a limit of %d requests or %d tokens a minute is negative", o.RequestsPerMinute, o.TokensPerMinute)
	case (o.Files == nil) != (o.Jobs == nil) || (o.Jobs == nil) != (o.Engines == nil):
		return errors.New("api: fine-tuning takes files, jobs and engines")
	case o.Auth && o.Store == nil:
		return errors.New("api: API keys are asked for, but there is no store to find them in")
	}
	return nil
}

// Server answers requests for a model, and for those added beside it. It
// listens before the model is there: /healthz answers at once, /readyz and the model's endpoints answer
// 503 until SetModel.
type Server struct {
	options  Options
	catalog  catalog
	stopping atomic.Bool
	quit     chan struct{} // closed when the server begins to stop
	adapters adapterCache
	talks    talks
	budgets  budgets
	metrics  *metrics
	tracing  *tracing
	handler  http.Handler

	writeTime time.Duration // shorter in tests
}

// New returns a server without a model.
func New(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &Server{options: o, quit: make(chan struct{}), writeTime: writeTime, budgets: budgets{requests: o.RequestsPerMinute, tokens: o.TokensPerMinute}}
	s.metrics, s.tracing = newMetrics(s.catalog.first), newTracing(o.Tracer)
	if o.Jobs != nil {
		s.metrics.registry.MustRegister(jobMetrics{o.Jobs, o.Log})
	}
	var err error
	s.handler, err = s.crossOrigin(s.router())
	return s, err
}

// SetModel makes the server ready with a model, which requests that name none
// get, and others beside it. No two may have the same name.
func (s *Server) SetModel(m Model, more ...Model) error {
	return s.catalog.set(append([]Model{m}, more...))
}

// Handler returns the routes with their middleware.
func (s *Server) Handler() http.Handler {
	chain := chi.Chain(s.logged, s.recovered, s.bounded, s.secured, s.knownHost)
	return chain.Handler(s.handler)
}

// router has the routes, open ones first.
func (s *Server) router() chi.Router {
	r := chi.NewRouter()
	routes := chi.Routes(r)
	r.Use(routed)
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		note(r, func(n *requestNote) { n.lost = true })
		fail(w, r, &Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
			Message: fmt.Sprintf("there is no %s %s here", r.Method, r.URL.Path),
		})
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		note(r, func(n *requestNote) { n.lost = true })
		w.Header().Set("Allow", strings.Join(allowed(routes, r.URL.Path), ", "))
		fail(w, r, &Error{
			Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: fmt.Sprintf("%s does not answer to %s", r.URL.Path, r.Method),
		})
	})
	r.Get("/healthz", s.healthz)
	r.Get("/readyz", s.readyz)
	r.Get("/openapi.json", handle(s.openapi))
	r.Get("/docs", handle(s.docs))
	r.With(s.authenticated, s.allowed(ScopeAdmin)).Get("/metrics", s.metrics.handler().ServeHTTP)
	if s.options.Pprof {
		r.With(s.authenticated, s.allowed(ScopeAdmin)).Mount("/debug/pprof", profiles())
	}
	r.Route("/v1", func(r chi.Router) {
		r.Use(s.working, s.authenticated, s.limited)
		s.routes(r)
	})
	return r
}

// allowed are the methods that a path answers to.
func allowed(routes chi.Routes, path string) (methods []string) {
	for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		if routes.Match(chi.NewRouteContext(), m, path) {
			methods = append(methods, m)
		}
	}
	return methods
}

// routes are the endpoints of the API.
func (s *Server) routes(r chi.Router) {
	r.Get("/models", handle(s.listModels))
	r.Get("/models/{model}", handle(s.getModel))
	r.With(s.allowed(ScopeFinetune)).Delete("/models/{model}", handle(s.deleteModel))
	r.Group(func(r chi.Router) {
		r.Use(s.allowed(ScopeFinetune))
		s.tuningRoutes(r)
	})
	r.With(s.allowed(ScopeEmbed)).Post("/embeddings", handle(s.embeddings))
	r.Post("/moderations", handle(s.moderations))
	r.Post("/tokenize", handle(s.tokenize))
	r.Post("/detokenize", handle(s.detokenize))
	r.Post("/count_tokens", handle(s.countTokens))
	r.Group(func(r chi.Router) {
		r.Use(s.allowed(ScopeChat))
		s.chatRoutes(r)
	})
}

func (s *Server) tuningRoutes(r chi.Router) {
	r.Post("/files", handle(s.createFile))
	r.Get("/files", handle(s.listFiles))
	r.Get("/files/{file_id}", handle(s.getFile))
	r.Get("/files/{file_id}/content", handle(s.fileContent))
	r.Delete("/files/{file_id}", handle(s.deleteFile))

	r.Post("/fine_tuning/jobs", handle(s.createJob))
	r.Get("/fine_tuning/jobs", handle(s.listJobs))
	r.Get("/fine_tuning/jobs/{job_id}", handle(s.getJob))
	for _, action := range []string{"cancel", "pause", "resume"} {
		r.Post("/fine_tuning/jobs/{job_id}/"+action, s.jobAction(action))
	}
	r.Get("/fine_tuning/jobs/{job_id}/events", handle(s.jobEvents))
	r.Get("/fine_tuning/jobs/{job_id}/checkpoints", handle(s.listCheckpoints))
}

func (s *Server) chatRoutes(r chi.Router) {
	r.Post("/completions", handle(s.completions))
	r.Post("/chat/completions", handle(s.chatCompletions))
	r.Get("/chat/completions", handle(s.listCompletions))
	r.Get("/chat/completions/{completion_id}", handle(s.getCompletion))
	r.Post("/chat/completions/{completion_id}", handle(s.updateCompletion))
	r.Delete("/chat/completions/{completion_id}", handle(s.deleteCompletion))
	r.Get("/chat/completions/{completion_id}/messages", handle(s.listMessages))

	r.Post("/conversations", handle(s.createConversation))
	r.Get("/conversations/{conversation_id}", handle(s.getConversation))
	r.Post("/conversations/{conversation_id}", handle(s.updateConversation))
	r.Delete("/conversations/{conversation_id}", handle(s.deleteConversation))
	r.Get("/conversations/{conversation_id}/items", handle(s.listItems))
	r.Post("/conversations/{conversation_id}/items", handle(s.addItems))
	r.Get("/conversations/{conversation_id}/items/{item_id}", handle(s.getItem))
	r.Delete("/conversations/{conversation_id}/items/{item_id}", handle(s.deleteItem))
}

// working refuses requests when the server was asked to stop.
func (s *Server) working(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.stopping.Load() {
			w.Header().Set("Connection", "close")
			fail(w, r, pipeline.ErrClosed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Serve answers connections until ctx ends. Then it takes no new work, lets
// running replies finish for Options.Drain, and cuts off those that have not:
// their clients are told.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// Requests outlive ctx while they drain, so they have a context of their own.
	requests, cutOff := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cutOff(nil)
	server := &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          log.New(connectionLog{s.options.Log}, "", 0),
	}
	served := make(chan error, 1)
	go func() {
		if s.options.TLS != nil {
			server.TLSConfig = s.options.TLS
			served <- server.ServeTLS(listener, "", "")
			return
		}
		served <- server.Serve(listener)
	}()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	close(s.quit)
	s.options.Log.Info().Dur("drain_ms", s.options.Drain).Msg("stopping: replies under way may finish")
	return s.drain(server, served, cutOff)
}

// connectionLog takes what net/http has to say of connections that never became
// a request.
type connectionLog struct{ log zerolog.Logger }

func (l connectionLog) Write(line []byte) (int, error) {
	l.log.Debug().Msg(string(bytes.TrimSpace(line)))
	return len(line), nil
}

// farewell is how long clients whose replies are cut off may take to be told.
const farewell = 2 * time.Second

func (s *Server) drain(server *http.Server, served <-chan error, cutOff func(error)) error {
	patience, cancel := context.WithTimeout(context.Background(), s.options.Drain)
	defer cancel()
	saved := make(chan error, 1)
	go func() {
		if s.options.Stopping == nil {
			saved <- nil
			return
		}
		saved <- s.options.Stopping(patience)
	}()
	err := server.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Log.Warn().Msg("some replies took too long and were cut off")
		cutOff(pipeline.ErrClosed)
		last, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		if err = server.Shutdown(last); err != nil {
			err = server.Close()
		}
	}
	err = errors.Join(err, <-saved)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
