package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/rs/zerolog"

	"causerie/api/store"
)

// Options of a Server. The zero value is usable.
type Options struct {
	// Log receives one line a request and the server's own messages.
	Log zerolog.Logger
	// LogText adds the text of prompts and replies to the request's line.
	LogText bool
	// Drain is how long running replies may take after the server was asked
	// to stop; 0 means 20 seconds.
	Drain time.Duration
	// Store keeps stored completions and conversations; nil refuses them. Its
	// owner closes it after the server has stopped.
	Store *store.Store
}

// EnsureDefaults fills the fields that may be left zero.
func (o *Options) EnsureDefaults() {
	if o.Drain == 0 {
		o.Drain = 20 * time.Second
	}
}

// Validate says what makes the options unusable.
func (o Options) Validate() error {
	if o.Drain < 0 {
		return fmt.Errorf("api: the drain time %s is negative", o.Drain)
	}
	return nil
}

// Server answers requests for one model. It listens before the model is
// there: /healthz answers at once, /readyz and the model's endpoints answer
// 503 until SetModel.
type Server struct {
	options  Options
	model    atomic.Pointer[Model]
	stopping atomic.Bool
	talks    talks
}

// New returns a server without a model.
func New(o Options) (*Server, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Server{options: o}, nil
}

// SetModel makes the server ready.
func (s *Server) SetModel(m Model) { s.model.Store(&m) }

// Handler returns the routes with their middleware.
func (s *Server) Handler() http.Handler {
	r := chi.NewRouter()
	r.Use(logged(s.options.Log, s.options.LogText))
	r.Use(recovered(s.options.Log))
	r.NotFound(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Code: "unknown_url",
			Message: fmt.Sprintf("there is no %s %s here", r.Method, r.URL.Path),
		})
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		fail(w, r, &Error{
			Status: http.StatusMethodNotAllowed, Type: "invalid_request_error", Code: "method_not_allowed",
			Message: fmt.Sprintf("%s does not answer to %s", r.URL.Path, r.Method),
		})
	})
	r.Get("/healthz", s.healthz)
	r.Get("/readyz", s.readyz)
	r.Get("/openapi.json", handle(s.openapi))
	r.Get("/docs", handle(s.docs))
	r.Route("/v1", s.routes)
	return r
}

// routes are the endpoints with errors in OpenAI's form.
func (s *Server) routes(r chi.Router) {
	r.Get("/models", handle(s.listModels))
	r.Get("/models/{model}", handle(s.getModel))
	r.Delete("/models/{model}", handle(s.deleteModel))

	r.Post("/chat/completions", handle(s.chatCompletions))
	r.Get("/chat/completions", handle(s.listCompletions))
	r.Get("/chat/completions/{completion_id}", handle(s.getCompletion))
	r.Post("/chat/completions/{completion_id}", handle(s.updateCompletion))
	r.Delete("/chat/completions/{completion_id}", handle(s.deleteCompletion))
	r.Get("/chat/completions/{completion_id}/messages", handle(s.listMessages))
	r.Post("/completions", handle(s.completions))
	r.Post("/embeddings", handle(s.embeddings))
	r.Post("/moderations", handle(s.moderations))

	r.Post("/conversations", handle(s.createConversation))
	r.Get("/conversations/{conversation_id}", handle(s.getConversation))
	r.Post("/conversations/{conversation_id}", handle(s.updateConversation))
	r.Delete("/conversations/{conversation_id}", handle(s.deleteConversation))
	r.Get("/conversations/{conversation_id}/items", handle(s.listItems))
	r.Post("/conversations/{conversation_id}/items", handle(s.addItems))
	r.Get("/conversations/{conversation_id}/items/{item_id}", handle(s.getItem))
	r.Delete("/conversations/{conversation_id}/items/{item_id}", handle(s.deleteItem))

	r.Post("/tokenize", handle(s.tokenize))
	r.Post("/detokenize", handle(s.detokenize))
	r.Post("/count_tokens", handle(s.countTokens))
}

// Serve answers connections until ctx ends. Then it takes no new work, lets
// running replies finish for Options.Drain, and cuts off those that have not.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	// Requests outlive ctx while they drain, so they have a context of their own.
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	server := &http.Server{
		Handler:           s.Handler(),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	s.stopping.Store(true)
	s.options.Log.Info().Dur("drain_ms", s.options.Drain).Msg("stopping: replies under way may finish")
	return s.drain(server, served, cutOff)
}

func (s *Server) drain(server *http.Server, served <-chan error, cutOff func()) error {
	patience, cancel := context.WithTimeout(context.Background(), s.options.Drain)
	defer cancel()
	err := server.Shutdown(patience)
	if errors.Is(err, context.DeadlineExceeded) {
		s.options.Log.Warn().Msg("some replies took too long and were cut off")
		cutOff()
		err = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}
