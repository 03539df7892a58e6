package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"

	"causerie/api/store"
	"causerie/models/dialogue"
)

// maxNewItems is how many items one request may add, as OpenAI's
// specification has it.
const maxNewItems = 20

func newItemID() string { return "msg_" + rand.Text() }

// conversationItem is a message in the form of OpenAI's Conversations API.
type conversationItem struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Role    string `json:"role"`
	Content []any  `json:"content"`
}

// inputText and outputText are the two kinds of text in an item: what was said
// to the model, and what it said.
type inputText struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type outputText struct {
	inputText
	Annotations []struct{} `json:"annotations"`
	Logprobs    []struct{} `json:"logprobs"`
}

func itemOf(item store.Item) conversationItem {
	out := conversationItem{ID: item.ID, Type: "message", Status: "completed", Role: item.Role, Content: make([]any, len(item.Parts))}
	for i, text := range item.Parts {
		if item.Role == string(dialogue.RoleAssistant) {
			out.Content[i] = outputText{inputText{"output_text", text}, []struct{}{}, []struct{}{}}
		} else {
			out.Content[i] = inputText{"input_text", text}
		}
	}
	return out
}

var itemFields = fields{
	served:  []string{"type", "role", "content"},
	refused: map[string][]string{"id": nil, "status": {`"completed"`}, "phase": nil},
}

// parseItems reads the messages to put into a conversation.
func parseItems(value json.RawMessage) ([]store.Item, error) {
	var raw []json.RawMessage
	if err := decode("items", value, &raw); err != nil {
		return nil, err
	}
	if len(raw) > maxNewItems {
		return nil, invalid("items", "items has %d items; at most %d can be added at a time", len(raw), maxNewItems)
	}
	items := make([]store.Item, len(raw))
	for i, v := range raw {
		var err error
		if items[i], err = parseItem(fmt.Sprintf("items[%d]", i), v); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func parseItem(path string, value json.RawMessage) (store.Item, error) {
	item := store.Item{ID: newItemID()}
	var o object
	if err := decode(path, value, &o); err != nil {
		return item, err
	}
	form := "message"
	if err := o.read(path+".type", "type", &form); err != nil {
		return item, err
	}
	if form != "message" {
		return item, unsupported(path+".type", "%s.type is %q; only \"message\" items are supported", path, form)
	}
	if err := itemFields.checkAt(path+".", o); err != nil {
		return item, err
	}
	if err := o.read(path+".role", "role", &item.Role); err != nil {
		return item, err
	}
	if item.Role == "" {
		return item, invalid(path+".role", "%s.role is missing", path)
	}
	if _, err := dialogue.ParseRole(item.Role); err != nil {
		return item, invalid(path+".role", "%s.role: %v", path, err)
	}
	if !o.has("content") {
		return item, invalid(path+".content", "%s.content is missing", path)
	}
	var err error
	item.Parts, err = parseContent(path+".content", o["content"], "input_text", "output_text", "text")
	return item, err
}

// listItems answers GET /v1/conversations/{conversation_id}/items.
func (s *Server) listItems(w http.ResponseWriter, r *http.Request) error {
	page, query, err := readPage(r, true, "include")
	if err != nil {
		return err
	}
	if err := refuseInclude(query); err != nil {
		return err
	}
	memory, err := s.memory()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "conversation_id")
	items, more, err := memory.Items(r.Context(), owner(r), id, page)
	if err != nil {
		return missing(err, "conversation", id)
	}
	writeItems(w, items, more)
	return nil
}

func writeItems(w http.ResponseWriter, items []store.Item, more bool) {
	data := make([]conversationItem, len(items))
	for i, item := range items {
		data[i] = itemOf(item)
	}
	l := newList(data, func(i conversationItem) string { return i.ID }, more)
	if len(data) == 0 {
		l.FirstID, l.LastID = new(""), new("") // the form has no null here
	}
	writeJSON(w, http.StatusOK, l)
}

// refuseInclude refuses the additions that OpenAI's include asks for: they are
// about tools and pictures.
func refuseInclude(query url.Values) error {
	for name := range query {
		if name == "include" || name == "include[]" {
			return unsupported("include", "include is not supported by this server: items hold text only")
		}
	}
	return nil
}

var newItemsFields = fields{served: []string{"items"}}

// addItems answers POST /v1/conversations/{conversation_id}/items.
func (s *Server) addItems(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	if err := refuseInclude(r.URL.Query()); err != nil {
		return err
	}
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	if err := newItemsFields.check(body); err != nil {
		return err
	}
	if !body.has("items") {
		return invalid("items", "items is missing")
	}
	items, err := parseItems(body["items"])
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return invalid("items", "items is empty; it needs at least one item")
	}
	id := chi.URLParam(r, "conversation_id")
	leave, err := s.talks.take(owner(r) + "/" + id) // or a reply would come after what it does not know
	if err != nil {
		return err
	}
	defer leave()
	if err := memory.AddItems(r.Context(), owner(r), id, items); err != nil {
		return missing(err, "conversation", id)
	}
	writeItems(w, items, false)
	return nil
}

// getItem answers GET /v1/conversations/{conversation_id}/items/{item_id}.
func (s *Server) getItem(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	if err := refuseInclude(r.URL.Query()); err != nil {
		return err
	}
	id := chi.URLParam(r, "item_id")
	item, err := memory.Item(r.Context(), owner(r), chi.URLParam(r, "conversation_id"), id)
	if err != nil {
		return missing(err, "item", id)
	}
	writeJSON(w, http.StatusOK, itemOf(item))
	return nil
}

// deleteItem answers DELETE /v1/conversations/{conversation_id}/items/{item_id}
// with the conversation, as OpenAI does.
func (s *Server) deleteItem(w http.ResponseWriter, r *http.Request) error {
	memory, err := s.memory()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "item_id")
	if err := memory.DeleteItem(r.Context(), owner(r), chi.URLParam(r, "conversation_id"), id); err != nil {
		return missing(err, "item", id)
	}
	return s.writeConversation(w, r, memory)
}
