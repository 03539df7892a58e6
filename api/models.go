package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
	"causerie/pipeline"
)

// Chatter writes n replies to a conversation; *pipeline.Engine does.
type Chatter interface {
	ChatN(ctx context.Context, r pipeline.ChatRequest, n int, emit func(pipeline.Piece) error) ([]pipeline.Reply, error)
}

// Embedder turns texts into vectors; *pipeline.Engine does.
type Embedder interface {
	Embed(ctx context.Context, r pipeline.EmbedRequest) (pipeline.Embeddings, error)
}

// Model is what the server serves and the name it goes by.
type Model struct {
	ID      string
	Created time.Time
	Chatter Chatter
	// Defaults are what a chat request that leaves a parameter open gets.
	Defaults pipeline.Options
	// Generator answers /v1/completions; nil refuses it.
	Generator Generator
	// GenerateDefaults are Defaults for /v1/completions.
	GenerateDefaults pipeline.Options
	// Embedder answers /v1/embeddings; nil refuses it.
	Embedder Embedder
	// Pooling is how it makes a vector of a text's tokens; mean when empty.
	Pooling pipeline.Pooling
	// Tokenizer and Template answer /v1/tokenize, /v1/detokenize and
	// /v1/count_tokens; nil refuses them.
	Tokenizer tokenizer.Tokenizer
	Template  dialogue.Template
	// Context is how many tokens prompt and reply may have together.
	Context int
}

// ModelOf is a model that an engine runs, with everything that it can do, under
// the given name.
func ModelOf(id string, created time.Time, e *pipeline.Engine) Model {
	return Model{
		ID: id, Created: created, Chatter: e, Defaults: e.ChatDefaults(), Generator: e, GenerateDefaults: e.GenerateDefaults(),
		Embedder: e, Tokenizer: e.Model().Tokenizer, Template: e.Model().Template, Context: e.Context(),
	}
}

// modelObject is OpenAI's description of a model.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (m *Model) object() modelObject {
	return modelObject{ID: m.ID, Object: "model", Created: m.Created.Unix(), OwnedBy: "causerie"}
}

// listModels answers GET /v1/models.
func (s *Server) listModels(w http.ResponseWriter, _ *http.Request) error {
	m, err := s.ready()
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{m.object()}})
	return nil
}

// getModel answers GET /v1/models/{model}.
func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	m, err := s.named(chi.URLParam(r, "model"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.object())
	return nil
}

// deleteModel answers DELETE /v1/models/{model}. The model that is served came
// with the program or from the operator's folder, and no client may take it
// away.
func (s *Server) deleteModel(_ http.ResponseWriter, r *http.Request) error {
	m, err := s.named(chi.URLParam(r, "model"))
	if err != nil {
		return err
	}
	return &Error{
		Status: http.StatusForbidden, Type: "invalid_request_error", Param: "model", Code: "model_not_deletable",
		Message: fmt.Sprintf("the model %q belongs to the server and cannot be deleted by a request", m.ID),
	}
}

// ready returns the model, or why there is none yet.
func (s *Server) ready() (*Model, error) {
	if m := s.model.Load(); m != nil {
		return m, nil
	}
	return nil, &Error{
		Status: http.StatusServiceUnavailable, Type: "server_error", Code: "model_loading",
		Message: "the model is still loading; try again in a moment",
	}
}

// named returns the model a request asks for. A request that names none gets
// the one that is served.
func (s *Server) named(id string) (*Model, error) {
	m, err := s.ready()
	if err != nil {
		return nil, err
	}
	if id != "" && id != m.ID {
		return nil, &Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
			Message: fmt.Sprintf("the model %q does not exist; this server serves %q", id, m.ID),
		}
	}
	return m, nil
}
