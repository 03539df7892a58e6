package api

import (
	"crypto/rand"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/api/store"
)

// conversation is OpenAI's description of one.
type conversation struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	CreatedAt int64             `json:"created_at"`
	Metadata  map[string]string `json:"metadata"`
}

func conversationOf(c store.Conversation) conversation {
	if c.Metadata == nil {
		c.Metadata = map[string]string{}
	}
	return conversation{ID: c.ID, Object: "conversation", CreatedAt: c.Created, Metadata: c.Metadata}
}

var conversationFields = fields{served: []string{"items", "metadata"}}

// createConversation answers POST /v1/conversations.
func (s *Server) createConversation(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	if err := conversationFields.check(body); err != nil {
		return err
	}
	c := store.Conversation{ID: "conv_" + rand.Text(), Created: time.Now().Unix()}
	if c.Metadata, err = parseMetadata(body); err != nil {
		return err
	}
	var items []store.Item
	if body.has("items") {
		if items, err = parseItems(body["items"]); err != nil {
			return err
		}
	}
	if err := memory.AddConversation(r.Context(), owner(r), c, items); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, conversationOf(c))
	return nil
}

// getConversation answers GET /v1/conversations/{conversation_id}.
func (s *Server) getConversation(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	return s.writeConversation(w, r, memory)
}

func (s *Server) writeConversation(w http.ResponseWriter, r *http.Request, memory *store.Store) error {
	id := chi.URLParam(r, "conversation_id")
	c, err := memory.Conversation(r.Context(), owner(r), id)
	if err != nil {
		return missing(err, "conversation", id)
	}
	writeJSON(w, http.StatusOK, conversationOf(c))
	return nil
}

// updateConversation answers POST /v1/conversations/{conversation_id}.
func (s *Server) updateConversation(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	metadata, err := readMetadata(w, r)
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "conversation_id")
	c, err := memory.SetConversationMetadata(r.Context(), owner(r), id, metadata)
	if err != nil {
		return missing(err, "conversation", id)
	}
	writeJSON(w, http.StatusOK, conversationOf(c))
	return nil
}

// deleteConversation answers DELETE /v1/conversations/{conversation_id}.
func (s *Server) deleteConversation(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "conversation_id")
	if err := memory.DeleteConversation(r.Context(), owner(r), id); err != nil {
		return missing(err, "conversation", id)
	}
	writeJSON(w, http.StatusOK, deleted{ID: id, Object: "conversation.deleted", Deleted: true})
	return nil
}
