package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"causerie/models/dialogue"
)

// tokensRequest is the body of the endpoints that turn text into tokens: a
// prompt, or the messages of a chat, spelled as the model would read them.
type tokensRequest struct {
	model    string
	text     string
	messages []dialogue.Turn // instead of text when there are any
	special  bool            // names of special tokens in text are those tokens
	pieces   bool
}

var (
	countFields    = fields{served: []string{"model", "prompt", "messages", "parse_special"}}
	tokenizeFields = fields{served: append([]string{"with_pieces"}, countFields.served...)}
)

func parseTokens(o object) (*tokensRequest, error) {
	r := &tokensRequest{}
	for _, f := range []struct {
		name string
		dst  any
	}{{"model", &r.model}, {"prompt", &r.text}, {"parse_special", &r.special}, {"with_pieces", &r.pieces}} {
		if err := o.read(f.name, f.name, f.dst); err != nil {
			return nil, err
		}
	}
	switch {
	case o.has("prompt") && o.has("messages"):
		return nil, invalid("messages", "prompt and messages exclude each other")
	case o.has("messages") && r.special:
		return nil, invalid("parse_special", "parse_special goes with prompt only: in messages nobody can write special tokens")
	case o.has("messages"):
		var err error
		_, r.messages, err = parseMessages(o)
		return r, err
	case !o.has("prompt"):
		return nil, invalid("prompt", "prompt is missing; so is messages")
	}
	return r, nil
}

// tokens reads the request and finds its tokens.
func (s *Server) tokens(w http.ResponseWriter, r *http.Request, known *fields) (*tokensRequest, *Model, []int32, error) {
	body, err := s.readRequest(w, r)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := known.check(body); err != nil {
		return nil, nil, nil, err
	}
	request, err := parseTokens(body)
	if err != nil {
		return nil, nil, nil, err
	}
	model, err := s.tokenizing(r, request.model)
	if err != nil {
		return nil, nil, nil, err
	}
	if request.messages != nil && model.Template == nil {
		return nil, nil, nil, onlyEmbeds(model)
	}
	return request, model, request.ids(model), nil
}

// tokenizing is named for endpoints that need a tokenizer.
func (s *Server) tokenizing(r *http.Request, id string) (*Model, error) {
	m, err := s.named(r, id)
	if err != nil {
		return nil, err
	}
	note(r, func(n *requestNote) { n.model = m.ID })
	if m.Tokenizer == nil {
		return nil, invalid("model", "the model %q has no tokenizer", m.ID)
	}
	return m, nil
}

func (q *tokensRequest) ids(m *Model) []int32 {
	switch {
	case q.messages != nil:
		ids := m.Template.Begin(nil)
		for _, turn := range q.messages {
			ids = m.Template.AppendTurn(ids, turn)
		}
		return m.Template.AppendPrompt(ids)
	case q.special:
		return m.Tokenizer.EncodeSpecial(nil, q.text)
	}
	return m.Tokenizer.Encode(nil, q.text)
}

// tokenPiece is a token with what it stands for. Half a character is not valid
// text: the bytes are exact, the text is for reading.
type tokenPiece struct {
	ID      int32  `json:"id"`
	Token   string `json:"token"`
	Bytes   []int  `json:"bytes"`
	Special bool   `json:"special"`
}

// tokenize answers POST /v1/tokenize.
func (s *Server) tokenize(w http.ResponseWriter, r *http.Request) error {
	request, model, ids, err := s.tokens(w, r, &tokenizeFields)
	if err != nil {
		return err
	}
	answer := struct {
		Object string       `json:"object"`
		Model  string       `json:"model"`
		Count  int          `json:"count"`
		Max    int          `json:"max_model_len"`
		Tokens []int32      `json:"tokens"`
		Pieces []tokenPiece `json:"pieces,omitempty"`
	}{Object: "tokens", Model: model.ID, Count: len(ids), Max: model.Context, Tokens: ids}
	if ids == nil {
		answer.Tokens = []int32{}
	}
	if request.pieces {
		for _, id := range ids {
			answer.Pieces = append(answer.Pieces, pieceOf(model, id))
		}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

func pieceOf(m *Model, id int32) tokenPiece {
	raw := m.Tokenizer.AppendToken(nil, id)
	p := tokenPiece{ID: id, Token: strings.ToValidUTF8(string(raw), "\uFFFD"), Bytes: make([]int, len(raw)), Special: m.Tokenizer.IsSpecial(id)}
	for i, b := range raw {
		p.Bytes[i] = int(b) // a []byte would become base64
	}
	return p
}

// countTokens answers POST /v1/count_tokens.
func (s *Server) countTokens(w http.ResponseWriter, r *http.Request) error {
	_, model, ids, err := s.tokens(w, r, &countFields)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Object string `json:"object"`
		Model  string `json:"model"`
		Count  int    `json:"input_tokens"`
		Max    int    `json:"max_model_len"`
	}{"token_count", model.ID, len(ids), model.Context})
	return nil
}

var detokenizeFields = fields{served: []string{"model", "tokens"}}

// detokenize answers POST /v1/detokenize.
func (s *Server) detokenize(w http.ResponseWriter, r *http.Request) error {
	body, err := s.readRequest(w, r)
	if err != nil {
		return err
	}
	if err := detokenizeFields.check(body); err != nil {
		return err
	}
	var name string
	if err := body.read("model", "model", &name); err != nil {
		return err
	}
	model, err := s.tokenizing(r, name)
	if err != nil {
		return err
	}
	if !body.has("tokens") {
		return invalid("tokens", "tokens is missing")
	}
	var items []json.RawMessage
	if err := decode("tokens", body["tokens"], &items); err != nil {
		return invalid("tokens", "tokens must be an array of token ids")
	}
	ids, err := parseIDs("tokens", "tokens", items)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if id < 0 || int(id) >= model.Tokenizer.VocabSize() {
			return invalid("tokens", "tokens[%d] is %d, but ids go from 0 to %d", i, id, model.Tokenizer.VocabSize()-1)
		}
	}
	writeJSON(w, http.StatusOK, struct {
		Object string `json:"object"`
		Model  string `json:"model"`
		Prompt string `json:"prompt"`
	}{"text", model.ID, strings.ToValidUTF8(model.Tokenizer.Decode(ids), "\uFFFD")})
	return nil
}
