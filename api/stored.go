package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-chi/chi/v5"

	"causerie/api/store"
)

// memory returns the store, or why there is none.
func (s *Server) memory() (*store.Store, error) {
	if s.options.Store == nil {
		return nil, &Error{
			Status: http.StatusNotImplemented, Type: "invalid_request_error", Code: "no_store",
			Message: "this server was started without a place to store anything",
		}
	}
	return s.options.Store, nil
}

// storedCompletion is a chat completion that was kept, in OpenAI's form.
type storedCompletion struct {
	chatCompletion
	Metadata map[string]string `json:"metadata"`
}

func (s *Server) storedOf(c store.Completion) (storedCompletion, error) {
	out := storedCompletion{Metadata: c.Metadata}
	if err := json.Unmarshal(c.Body, &out.chatCompletion); err != nil {
		return out, fmt.Errorf("reading the stored completion %s: %w", c.ID, err)
	}
	return out, nil
}

// listCompletions answers GET /v1/chat/completions.
func (s *Server) listCompletions(w http.ResponseWriter, r *http.Request) error {
	page, query, err := readPage(r, false, "model", "metadata")
	if err != nil {
		return err
	}
	filter := store.Filter{Model: query.Get("model")}
	if filter.Metadata, err = metadataQuery(query); err != nil {
		return err
	}
	memory, err := s.memory()
	if err != nil {
		return err
	}
	found, more, err := memory.Completions(r.Context(), owner(r), filter, page)
	if err != nil {
		return err
	}
	data := make([]storedCompletion, len(found))
	for i, c := range found {
		if data[i], err = s.storedOf(c); err != nil {
			return err
		}
	}
	writeJSON(w, http.StatusOK, newList(data, func(c storedCompletion) string { return c.ID }, more))
	return nil
}

// metadataQuery reads metadata[KEY]=VALUE.
func metadataQuery(query url.Values) (map[string]string, error) {
	var metadata map[string]string
	for name := range query {
		rest, ok := strings.CutPrefix(name, "metadata")
		if !ok {
			continue
		}
		if len(rest) < 3 || rest[0] != '[' || rest[len(rest)-1] != ']' {
			return nil, invalid(name, "a filter by metadata is written metadata[KEY]=VALUE")
		}
		if metadata == nil {
			metadata = make(map[string]string)
		}
		metadata[rest[1:len(rest)-1]] = query.Get(name)
	}
	if len(metadata) > maxMetadata {
		return nil, invalid("metadata", "metadata has %d entries; at most %d are allowed", len(metadata), maxMetadata)
	}
	return metadata, nil
}

// findCompletion reads the completion that the path names.
func (s *Server) findCompletion(r *http.Request) (store.Completion, error) {
	memory, err := s.memory()
	if err != nil {
		return store.Completion{}, err
	}
	id := chi.URLParam(r, "completion_id")
	c, err := memory.Completion(r.Context(), owner(r), id)
	return c, missing(err, "stored chat completion", id)
}

// getCompletion answers GET /v1/chat/completions/{completion_id}.
func (s *Server) getCompletion(w http.ResponseWriter, r *http.Request) error {
	c, err := s.findCompletion(r)
	if err != nil {
		return err
	}
	return s.writeStored(w, c)
}

func (s *Server) writeStored(w http.ResponseWriter, c store.Completion) error {
	body, err := s.storedOf(c)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

var metadataFields = fields{served: []string{"metadata"}}

// readMetadata reads a body that consists of metadata.
func readMetadata(w http.ResponseWriter, r *http.Request) (map[string]string, error) {
	body, err := readObject(w, r)
	if err != nil {
		return nil, err
	}
	if err := metadataFields.check(body); err != nil {
		return nil, err
	}
	if _, ok := body["metadata"]; !ok {
		return nil, invalid("metadata", "metadata is missing")
	}
	return parseMetadata(body)
}

// updateCompletion answers POST /v1/chat/completions/{completion_id}.
func (s *Server) updateCompletion(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	metadata, err := readMetadata(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "completion_id")
	c, err := memory.SetCompletionMetadata(r.Context(), owner(r), id, metadata)
	if err != nil {
		return missing(err, "stored chat completion", id)
	}
	return s.writeStored(w, c)
}

// deleted is OpenAI's answer to a deletion.
type deleted struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// deleteCompletion answers DELETE /v1/chat/completions/{completion_id}.
func (s *Server) deleteCompletion(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "completion_id")
	if err := memory.DeleteCompletion(r.Context(), owner(r), id); err != nil {
		return missing(err, "stored chat completion", id)
	}
	writeJSON(w, http.StatusOK, deleted{ID: id, Object: "chat.completion.deleted", Deleted: true})
	return nil
}

// storedMessage is a message of a stored completion's question.
type storedMessage struct {
	ID           string            `json:"id"`
	Role         string            `json:"role"`
	Content      *string           `json:"content"`
	ContentParts []json.RawMessage `json:"content_parts"`
	Refusal      *string           `json:"refusal"`
}

// listMessages answers GET /v1/chat/completions/{completion_id}/messages.
func (s *Server) listMessages(w http.ResponseWriter, r *http.Request) error {
	page, _, err := readPage(r, false)
	if err != nil {
		return err
	}
	c, err := s.findCompletion(r)
	if err != nil {
		return err
	}
	messages := make([]storedMessage, len(c.Messages))
	for i, raw := range c.Messages {
		m := storedMessage{ID: fmt.Sprintf("%s-%d", c.ID, i)}
		var fields object
		if err := json.Unmarshal(raw, &fields); err != nil {
			return fmt.Errorf("reading message %d of the stored completion %s: %w", i, c.ID, err)
		}
		_ = json.Unmarshal(fields["role"], &m.Role) // checked when it came
		if json.Unmarshal(fields["content"], &m.Content) != nil {
			_ = json.Unmarshal(fields["content"], &m.ContentParts)
		}
		messages[i] = m
	}
	messages, more, err := pageOf(messages, func(m storedMessage) string { return m.ID }, page)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, newList(messages, func(m storedMessage) string { return m.ID }, more))
	return nil
}

// pageOf cuts a page out of a list that is in memory.
func pageOf[T any](all []T, id func(T) string, p store.Page) (page []T, more bool, err error) {
	if p.Descending {
		slices.Reverse(all)
	}
	if p.After != "" {
		i := slices.IndexFunc(all, func(v T) bool { return id(v) == p.After })
		if i < 0 {
			return nil, false, store.ErrAfter
		}
		all = all[i+1:]
	}
	return all[:min(p.Limit, len(all))], len(all) > p.Limit, nil
}
