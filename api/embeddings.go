package api

import (
	"encoding/base64"
	"encoding/binary"
	"math"
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
	model, err := s.named(r, request.model)
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) { n.model = model.ID })
	if model.Embedder == nil {
		return invalid("model", "the model %q does not embed", model.ID)
	}
	made, err := model.Embedder.Embed(r.Context(), pipeline.EmbedRequest{
		Inputs: request.inputs, Pooling: model.Pooling, Dimensions: request.dimensions,
		Adapter: model.Defaults.Adapter,
	})
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) { n.prompt = made.Tokens })
	writeJSON(w, http.StatusOK, embeddingList(model.ID, made, request.base64))
	return nil
}

// embeddingsRequest is the body of POST /v1/embeddings, checked for form.
type embeddingsRequest struct {
	model      string
	inputs     []pipeline.EmbedInput
	dimensions int // 0: all
	base64     bool
}

var embeddingsFields = fields{
	served: []string{"model", "input", "dimensions", "encoding_format"},
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

// embedding is one vector in OpenAI's form.
type embedding struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // numbers, or their bytes in base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

type embeddingsList struct {
	Object string         `json:"object"`
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

func embeddingList(model string, made pipeline.Embeddings, inBase64 bool) embeddingsList {
	list := embeddingsList{
		Object: "list", Model: model, Data: make([]embedding, len(made.Vectors)),
		Usage: embeddingUsage{PromptTokens: made.Tokens, TotalTokens: made.Tokens},
	}
	for i, v := range made.Vectors {
		list.Data[i] = embedding{Object: "embedding", Index: i, Embedding: v}
		if inBase64 {
			list.Data[i].Embedding = base64.StdEncoding.EncodeToString(littleEndian(v))
		}
	}
	return list
}

// littleEndian is the bytes of a vector as the SDKs read them.
func littleEndian(v []float32) []byte {
	b := make([]byte, 0, 4*len(v))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
	}
	return b
}
