package api

import (
	"net/http"
	"sync"
)

// talks are the conversations in which a reply is being written: two replies
// at once would not know of each other. The zero value is empty.
type talks struct {
	mu   sync.Mutex
	held map[string]bool
}

// take holds a conversation until leave, or refuses because somebody does.
func (t *talks) take(id string) (leave func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[id] {
		return nil, &Error{
			Status: http.StatusConflict, Type: "invalid_request_error", Param: "conversation", Code: "conversation_locked",
			Message: "another reply is being written in this conversation; wait for it",
		}
	}
	if t.held == nil {
		t.held = make(map[string]bool)
	}
	t.held[id] = true
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.held, id)
	}, nil
}
