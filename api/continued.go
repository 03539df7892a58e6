package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"causerie/api/store"
	"causerie/models/dialogue"
)

// continued is a conversation that a chat request goes on with.
type continued struct {
	memory *store.Store
	owner  string
	id     string
	asked  []store.Item // the new messages
}

// enter finds the conversation that a request names and puts its messages
// before the request's. leave must be called in the end.
func (s *Server) enter(r *http.Request, q *chatRequest) (c *continued, leave func(), err error) {
	memory, err := s.memory()
	if err != nil {
		return nil, nil, err
	}
	c = &continued{memory: memory, owner: owner(r), id: q.conversation}
	if leave, err = s.talks.take(c.owner + "/" + c.id); err != nil {
		return nil, nil, err
	}
	items, _, err := memory.Items(r.Context(), c.owner, c.id, store.Page{Limit: store.MaxItems})
	if err != nil {
		leave()
		return nil, nil, missing(err, "conversation", c.id)
	}
	before := make([]dialogue.Turn, len(items))
	for i, item := range items {
		if before[i], err = turnOf(item); err != nil {
			leave()
			return nil, nil, err
		}
	}
	for _, raw := range q.raw {
		item, err := itemOfMessage(raw)
		if err != nil {
			leave()
			return nil, nil, err
		}
		c.asked = append(c.asked, item)
	}
	q.messages = slices.Concat(before, q.messages)
	return c, leave, nil
}

func turnOf(item store.Item) (dialogue.Turn, error) {
	turn := dialogue.Turn{Weight: 1}
	var err error
	if turn.Role, err = dialogue.ParseRole(item.Role); err != nil {
		return turn, fmt.Errorf("reading the stored item %s: %w", item.ID, err)
	}
	for _, p := range item.Parts {
		turn.Text += p
	}
	return turn, nil
}

// itemOfMessage makes an item of a chat message, whose form was checked.
func itemOfMessage(raw json.RawMessage) (store.Item, error) {
	item := store.Item{ID: newItemID()}
	var m object
	if err := decode("messages", raw, &m); err != nil {
		return item, err
	}
	if err := m.read("messages.role", "role", &item.Role); err != nil {
		return item, err
	}
	var err error
	item.Parts, err = parseContent("messages.content", m["content"], "text")
	return item, err
}

// keep appends the new messages and the reply to the conversation.
func (c *continued) keep(ctx context.Context, reply string) error {
	items := append(c.asked, store.Item{ID: newItemID(), Role: string(dialogue.RoleAssistant), Parts: []string{reply}})
	return missing(c.memory.AddItems(ctx, c.owner, c.id, items), "conversation", c.id)
}
