package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/finetune/jobs"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/lora"
	"causerie/models/tokenizer"
	"causerie/pipeline"
)

// Chatter writes n replies to a conversation; *pipeline.Engine does.
type Chatter interface {
	ChatN(ctx context.Context, r pipeline.ChatRequest, n int, emit func(pipeline.Piece) error) ([]pipeline.Reply, error)
}

// Embedder turns texts into vectors; *pipeline.Engine and *pipeline.Encoder do.
type Embedder interface {
	Embed(ctx context.Context, r pipeline.EmbedRequest) (pipeline.Embeddings, error)
}

// Model is what the server serves and the name it goes by.
type Model struct {
	ID      string
	Created time.Time
	// Chatter answers /v1/chat/completions; nil refuses it.
	Chatter Chatter
	// Defaults are what a chat request that leaves a parameter open gets.
	Defaults pipeline.Options
	// Generator answers /v1/completions; nil refuses it.
	Generator Generator
	// GenerateDefaults are Defaults for /v1/completions.
	GenerateDefaults pipeline.Options
	// Embedder answers /v1/embeddings; nil refuses it.
	Embedder Embedder
	// Pooling is how it makes a vector of a text's tokens; when empty the mean,
	// or what an encoder's folder says.
	Pooling pipeline.Pooling
	// Truncate leaves out what is beyond the model's limit of a text to embed,
	// where a request does not say otherwise; it is refused by default.
	Truncate bool
	// Tokenizer and Template answer /v1/tokenize, /v1/detokenize and
	// /v1/count_tokens; nil refuses them.
	Tokenizer tokenizer.Tokenizer
	Template  dialogue.Template
	// Context is how many tokens prompt and reply may have together.
	Context int
	// Stats are the figures of the engine that runs it; nil for none.
	Stats func() pipeline.Stats
	// Shape is that of the network, which adapters must have been made for.
	Shape gpt2.Config
	// Folder is where the model is, as fine-tuning jobs call it.
	Folder string
}

// ModelOf is a model that an engine runs, with everything that it can do, under
// the given name.
func ModelOf(id string, created time.Time, e *pipeline.Engine) Model {
	return Model{
		ID: id, Created: created, Chatter: e, Defaults: e.ChatDefaults(), Generator: e, GenerateDefaults: e.GenerateDefaults(),
		Embedder: e, Tokenizer: e.Model().Tokenizer, Template: e.Model().Template, Context: e.Context(),
		Stats: e.Stats,
		Shape: e.Model().Net.Config,
	}
}

// EncoderOf is a sentence encoder under the given name: it only embeds.
func EncoderOf(id string, created time.Time, e *pipeline.Encoder) Model {
	return Model{ID: id, Created: created, Embedder: e, Tokenizer: e.Model().Tokenizer, Context: e.MaxTokens()}
}

// Adapted is the model as it is through an adapter, under a name of its own. It
// shares everything else with m, and batches of requests too.
func (m Model) Adapted(id string, created time.Time, a *lora.Adapter) Model {
	m.ID, m.Created = id, created
	m.Defaults.Adapter, m.GenerateDefaults.Adapter = a.Net, a.Net
	return m
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

func tunedObject(m jobs.Model) modelObject {
	return modelObject{ID: m.ID, Object: "model", Created: m.Created.Unix(), OwnedBy: cmp.Or(m.Owner, "causerie")}
}

// listModels answers GET /v1/models: the operator's, then those that jobs of
// the owner have made.
func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.ready(); err != nil {
		return err
	}
	data := []modelObject{}
	for _, m := range s.catalog.list() {
		data = append(data, m.object())
	}
	made, err := s.tunedModels(r)
	if err != nil {
		return err
	}
	for _, m := range made {
		data = append(data, tunedObject(m))
	}
	writeJSON(w, http.StatusOK, struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", data})
	return nil
}

// getModel answers GET /v1/models/{model}.
func (s *Server) getModel(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.ready(); err != nil {
		return err
	}
	id := chi.URLParam(r, "model")
	if m := s.catalog.find(id); m != nil {
		writeJSON(w, http.StatusOK, m.object())
		return nil
	}
	m, err := s.tuned(r, id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, tunedObject(m))
	return nil
}

// deleteModel answers DELETE /v1/models/{model}. What came with the program or
// from the operator's folders no client may take away.
func (s *Server) deleteModel(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.ready(); err != nil {
		return err
	}
	id := chi.URLParam(r, "model")
	if m := s.catalog.find(id); m != nil {
		return &Error{
			Status: http.StatusForbidden, Type: "invalid_request_error", Param: "model", Code: "model_not_deletable",
			Message: fmt.Sprintf("the model %q belongs to the server and cannot be deleted by a request", m.ID),
		}
	}
	m, err := s.tuned(r, id)
	if err == nil {
		err = s.remove(r, m)
	}
	if errors.Is(err, jobs.ErrNotFound) { // another request was faster
		err = s.unknownModel(r, id)
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, deleted{ID: id, Object: "model", Deleted: true})
	return nil
}

// ready returns the model that requests get which name none, or why there is
// none yet.
func (s *Server) ready() (*Model, error) {
	if m := s.catalog.first(); m != nil {
		return m, nil
	}
	return nil, &Error{
		Status: http.StatusServiceUnavailable, Type: "server_error", Code: "model_loading",
		Message: "the model is still loading; try again in a moment",
	}
}
