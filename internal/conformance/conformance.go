// Package conformance gives a server what OpenAI's own generated API tests ask
// for by name. They run against a server that has the examples of OpenAI's
// specification: a stored completion called "completion_id", a conversation
// "conv_123", a model "gpt-6-astra". `causerie serve --conformance` starts with
// those, and is in nothing else different from any server: what it refuses
// without the flag it refuses with it.
package conformance

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"causerie/api"
	"causerie/api/store"
)

// The names that the tests use.
const (
	completionID   = "completion_id"
	conversationID = "conv_123"
	itemID         = "msg_abc"
)

// modelIDs are those of models that are there from the start.
var modelIDs = []string{"gpt-6-astra", "gpt-3.5-turbo-instruct", "text-embedding-3-small"}

// created is when everything was.
const created = 1700000000

// Seed stores what the tests look for.
func Seed(ctx context.Context, memory *store.Store) error {
	body, err := json.Marshal(map[string]any{
		"id": completionID, "object": "chat.completion", "created": created, "model": modelIDs[0], "system_fingerprint": nil,
		"choices": []map[string]any{{
			"index": 0, "finish_reason": "stop", "logprobs": nil,
			"message": map[string]any{"role": "assistant", "content": "Hello!", "refusal": nil},
		}},
		"usage": map[string]int{"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
	})
	if err != nil {
		return fmt.Errorf("conformance: %w", err)
	}
	err = memory.AddCompletion(ctx, "", store.Completion{
		ID: completionID, Model: modelIDs[0], Created: created, Body: body,
		Messages: []json.RawMessage{json.RawMessage(`{"role":"user","content":"Hello."}`)},
	})
	if err != nil {
		return fmt.Errorf("conformance: storing a completion: %w", err)
	}
	err = memory.AddConversation(ctx, "", store.Conversation{ID: conversationID, Created: created},
		[]store.Item{{ID: itemID, Role: "user", Parts: []string{"Hello."}}})
	if err != nil {
		return fmt.Errorf("conformance: storing a conversation: %w", err)
	}
	return nil
}

// Models are the model under the names that the tests know.
func Models(model api.Model) (models []api.Model) {
	model.Created = time.Unix(created, 0)
	for _, id := range modelIDs {
		model.ID = id
		models = append(models, model)
	}
	return models
}
