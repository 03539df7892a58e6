package api

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"

	"causerie/pipeline"
)

// maxInputs is how many texts a request may have, as OpenAI's specification
// has it.
const maxInputs = 2048

// embeddings answers POST /v1/embeddings.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request) {
	body, err := s.readRequest(w, r)
	if err != nil {
		fail(w, r, err)
		return
	}
	request, err := parseEmbeddings(body)
	if err != nil {
		fail(w, r, err)
		return
	}
	model, err := s.named(request.model)
	if err != nil {
		fail(w, r, err)
		return
	}
	note(r, func(n *requestNote) { n.model = model.ID })
	if model.Embedder == nil {
		fail(w, r, invalid("model", "the model %q does not embed", model.ID))
		return
	}
	made, err := model.Embedder.Embed(r.Context(), pipeline.EmbedRequest{
		Inputs: request.inputs, Pooling: model.Pooling, Dimensions: request.dimensions,
	})
	if err != nil {
		fail(w, r, err)
		return
	}
	note(r, func(n *requestNote) { n.prompt = made.Tokens })
	writeJSON(w, http.StatusOK, embeddingList(model.ID, made, request.base64))
}

// embeddingsRequest is the body of POST /v1/embeddings, checked for form.
type embeddingsRequest struct {
	model      string
	inputs     []pipeline.EmbedInput
	dimensions int // 0: all
	base64     bool
}

func parseEmbeddings(o object) (*embeddingsRequest, error) {
	r := &embeddingsRequest{}
	if err := o.read("model", "model", &r.model); err != nil {
		return nil, err
	}
	if !o.has("input") {
		return nil, invalid("input", "input is missing")
	}
	var err error
	if r.inputs, err = parseInputs(o["input"]); err != nil {
		return nil, err
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

// parseInputs reads a text, token ids, or an array of either.
func parseInputs(value json.RawMessage) ([]pipeline.EmbedInput, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return []pipeline.EmbedInput{{Text: text}}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil {
		return nil, invalid("input", "input must be a string or an array, not %s", kind(value))
	}
	switch {
	case len(items) == 0:
		return nil, invalid("input", "input is empty; it needs at least one text")
	case isNumber(items[0]):
		ids, err := parseIDs("input", items)
		return []pipeline.EmbedInput{{IDs: ids}}, err
	case len(items) > maxInputs:
		return nil, invalid("input", "input has %d texts; at most %d are allowed", len(items), maxInputs)
	}
	inputs := make([]pipeline.EmbedInput, len(items))
	for i, item := range items {
		path := fmt.Sprintf("input[%d]", i)
		if json.Unmarshal(item, &inputs[i].Text) == nil && string(item) != "null" {
			continue
		}
		var ids []json.RawMessage
		if json.Unmarshal(item, &ids) != nil || string(item) == "null" {
			return nil, invalid("input", "%s must be a string or an array of token ids, not %s", path, kind(item))
		}
		var err error
		if inputs[i].IDs, err = parseIDs(path, ids); err != nil {
			return nil, err
		}
	}
	return inputs, nil
}

func isNumber(v json.RawMessage) bool {
	return json.Unmarshal(v, new(json.Number)) == nil && v[0] != '"' && string(v) != "null"
}

// parseIDs reads token ids. Whether the vocabulary has them, the model says.
func parseIDs(path string, items []json.RawMessage) ([]int32, error) {
	ids := make([]int32, len(items))
	for i, item := range items {
		if string(item) == "null" || json.Unmarshal(item, &ids[i]) != nil {
			return nil, invalid("input", "%s[%d] must be a token id, not %s", path, i, kind(item))
		}
	}
	return ids, nil
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
