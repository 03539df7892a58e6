package api

import (
	"context"
	"errors"
	"net/http"

	"causerie/pipeline"
)

// maxInputs is how many texts a request may have, as OpenAI's specification
// has it.
const maxInputs = 2048

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) error {
	body, err := s.readRequest(w, r)
	if err != nil {
		return err
	}
	request, err := parseEmbeddings(body)
	if err != nil {
		return err
	}
	model, err := s.embedding(r, request.model)
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) { n.model = model.ID })
	if model.Embedder == nil {
		return invalid("model", "the model %q does not embed", model.ID)
	}
	truncate := model.Truncate
	if request.truncate != nil {
		truncate = *request.truncate
	}
	answer := newEmbeddingStream(w, request.base64)
	made, err := model.Embedder.Embed(r.Context(), pipeline.EmbedRequest{
		Inputs: request.inputs, Pooling: model.Pooling, Dimensions: request.dimensions, Truncate: truncate,
		Adapter: model.Defaults.Adapter, Emit: answer.add,
	})
	if err == nil {
		note(r, func(n *requestNote) { n.prompt = made.Tokens })
		err = answer.end(model.ID, made.Tokens)
	}
	if err != nil && answer.begun {
		return cutOff(r, err)
	}
	return err
}

// cutOff ends an answer that has begun and cannot be finished: the client sees
// that the connection broke, rather than half a list that looks whole.
func cutOff(r *http.Request, err error) error {
	if r.Context().Err() != nil {
		err = errors.Join(context.Cause(r.Context()), err)
	}
	note(r, func(n *requestNote) { n.err, n.status = err, toError(err).Status })
	panic(http.ErrAbortHandler)
}

// embedding is named for embeddings: a request that names no model gets the one
// that only embeds, if there is one beside a model that chats.
func (s *Server) embedding(r *http.Request, id string) (*Model, error) {
	m, err := s.named(r, id)
	if err != nil || id != "" {
		return m, err
	}
	for _, other := range s.catalog.list() {
		if other.Chatter == nil && other.Embedder != nil {
			return &other, nil
		}
	}
	return m, nil
}

// embeddingsRequest is the body of POST /v1/embeddings, checked for form.
type embeddingsRequest struct {
	model      string
	inputs     []pipeline.EmbedInput
	dimensions int // 0: all
	base64     bool
	truncate   *bool // nil: as the model does
}

var embeddingsFields = fields{
	served: []string{"model", "input", "dimensions", "encoding_format", "truncate"},
	idle:   []string{"user"},
}

func parseEmbeddings(o object) (*embeddingsRequest, error) {
	if err := embeddingsFields.check(o); err != nil {
		return nil, err
	}
	r := &embeddingsRequest{}
	if err := o.read("model", "model", &r.model); err != nil {
		return nil, err
	}
	if !o.has("input") {
		return nil, invalid("input", "input is missing")
	}
	texts, err := parseTexts("input", o["input"], maxInputs)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		r.inputs = append(r.inputs, pipeline.EmbedInput{Text: t.text, IDs: t.ids})
	}
	if o.has("dimensions") {
		if err := o.read("dimensions", "dimensions", &r.dimensions); err != nil {
			return nil, err
		}
		if r.dimensions < 1 {
			return nil, invalid("dimensions", "dimensions must be at least 1, not %d", r.dimensions)
		}
	}
	if err := o.read("truncate", "truncate", &r.truncate); err != nil {
		return nil, err
	}
	format := "float"
	if err := o.read("encoding_format", "encoding_format", &format); err != nil {
		return nil, err
	}
	if format != "float" && format != "base64" {
		return nil, invalid("encoding_format", "encoding_format must be \"float\" or \"base64\", not %q", format)
	}
	r.base64 = format == "base64"
	return r, nil
}
