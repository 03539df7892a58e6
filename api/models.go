package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/pipeline"
)

// Chatter replies to conversations; *pipeline.Engine does.
type Chatter interface {
	Chat(ctx context.Context, r pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error)
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
	// Defaults are what a request that leaves a parameter open gets.
	Defaults pipeline.Options
	// Embedder answers /v1/embeddings; nil refuses it.
	Embedder Embedder
	// Pooling is how it makes a vector of a text's tokens; mean when empty.
	Pooling pipeline.Pooling
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

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	m, err := s.ready()
	if err != nil {
		fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", []modelObject{m.object()}})
}

func (s *Server) getModel(w http.ResponseWriter, r *http.Request) {
	m, err := s.named(chi.URLParam(r, "model"))
	if err != nil {
		fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, m.object())
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
