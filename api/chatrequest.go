package api

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"causerie/models/dialogue"
	"causerie/pipeline/grammar"
)

// chatRequest is the body of POST /v1/chat/completions, checked for form.
type chatRequest struct {
	generation
	messages     []dialogue.Turn
	raw          []json.RawMessage // the messages as they came
	store        bool
	metadata     map[string]string
	conversation string           // id; its messages go before these
	form         *grammar.Grammar // of the reply; nil: any text
}

var chatFields = fields{
	served: slices.Concat(generationFields, []string{
		"messages", "max_completion_tokens", "response_format", "store", "metadata", "conversation",
		"logprobs", "top_logprobs",
	}),
	idle: slices.Concat(idleFields, []string{"parallel_tool_calls"}),
	refused: map[string][]string{
		"tools": {"[]"}, "tool_choice": {`"none"`, `"auto"`},
		"functions": {"[]"}, "function_call": {`"none"`, `"auto"`},
		"audio": nil, "modalities": {`["text"]`}, "moderation": nil, "prediction": nil, "web_search_options": nil,
		"reasoning_effort": {`"none"`}, "verbosity": {`"medium"`}, "service_tier": {`"auto"`, `"default"`},
	},
}

func parseChat(o object) (*chatRequest, error) {
	if err := chatFields.check(o); err != nil {
		return nil, err
	}
	r := &chatRequest{}
	for _, step := range []func(object) error{r.parseMessages, r.parse, r.parseLength, r.parseLogprobs, r.parseFormat, r.parseKeeping} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *chatRequest) parseMessages(o object) (err error) {
	r.raw, r.messages, err = parseMessages(o)
	return err
}

// maxMessages bounds the work that a small body can ask for.
const maxMessages = 4096

// parseMessages reads the field messages, which must be there.
func parseMessages(o object) (raw []json.RawMessage, turns []dialogue.Turn, err error) {
	if !o.has("messages") {
		return nil, nil, invalid("messages", "messages is missing")
	}
	if err := o.read("messages", "messages", &raw); err != nil {
		return nil, nil, err
	}
	switch n := len(raw); {
	case n == 0:
		return nil, nil, invalid("messages", "messages is empty; it needs at least one message")
	case n > maxMessages:
		return nil, nil, invalid("messages", "messages has %d messages; at most %d are allowed", n, maxMessages)
	}
	for i, m := range raw {
		turn, err := parseMessage(fmt.Sprintf("messages[%d]", i), m)
		if err != nil {
			return nil, nil, err
		}
		turns = append(turns, turn)
	}
	return raw, turns, nil
}

// messageFields are those of a message. The values let through are what
// OpenAI's clients send when they send a reply back.
var messageFields = fields{
	served: []string{"role", "content"},
	refused: map[string][]string{
		"name": nil, "refusal": {`""`}, "audio": nil, "annotations": {"[]"}, "tool_calls": {"[]"}, "function_call": nil, "tool_call_id": nil,
	},
}

func parseMessage(path string, value json.RawMessage) (dialogue.Turn, error) {
	turn := dialogue.Turn{Weight: 1}
	var m object
	if err := decode(path, value, &m); err != nil {
		return turn, err
	}
	var role string
	if err := m.read(path+".role", "role", &role); err != nil {
		return turn, err
	}
	if role == "" {
		return turn, invalid(path+".role", "%s.role is missing", path)
	}
	var err error
	if turn.Role, err = dialogue.ParseRole(role); err != nil {
		return turn, invalid(path+".role", "%s.role: %v", path, err)
	}
	if err := messageFields.checkAt(path+".", m); err != nil {
		return turn, err
	}
	if !m.has("content") {
		return turn, invalid(path+".content", "%s.content is missing", path)
	}
	parts, err := parseContent(path+".content", m["content"], "text")
	for _, p := range parts {
		turn.Text += p
	}
	return turn, err
}

var partFields = fields{served: []string{"type", "text"}, refused: map[string][]string{"annotations": {"[]"}, "logprobs": {"[]"}}}

// parseContent reads a message's text: a string, or an array of text parts,
// whose type must be one of kinds.
func parseContent(path string, value json.RawMessage, kinds ...string) ([]string, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return []string{text}, nil
	}
	var parts []object
	if json.Unmarshal(value, &parts) != nil {
		return nil, invalid(path, "%s must be a string or an array of text parts, not %s", path, kind(value))
	}
	texts := make([]string, len(parts))
	for i, part := range parts {
		at := fmt.Sprintf("%s[%d]", path, i)
		var kind string
		if err := part.read(at+".type", "type", &kind); err != nil {
			return nil, err
		}
		if !slices.Contains(kinds, kind) {
			return nil, invalid(at+".type", "%s.type is %q; only %q parts are supported", at, kind, kinds)
		}
		if err := partFields.checkAt(at+".", part); err != nil {
			return nil, err
		}
		if !part.has("text") {
			return nil, invalid(at+".text", "%s.text is missing", at)
		}
		if err := part.read(at+".text", "text", &texts[i]); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

// parseLength reads the newer name of max_tokens, which wins over the older.
func (r *chatRequest) parseLength(o object) error {
	for _, name := range []string{"max_tokens", "max_completion_tokens"} {
		if err := o.readCount(name, &r.maxTokens, 1); err != nil {
			return err
		}
	}
	return nil
}

func (r *chatRequest) parseLogprobs(o object) error {
	if err := o.read("logprobs", "logprobs", &r.logprobs); err != nil {
		return err
	}
	if err := o.read("top_logprobs", "top_logprobs", &r.topLogprobs); err != nil {
		return err
	}
	switch {
	case r.topLogprobs < 0 || r.topLogprobs > maxTopLogprobs:
		return invalid("top_logprobs", "top_logprobs must lie between 0 and %d, not %d", maxTopLogprobs, r.topLogprobs)
	case r.topLogprobs > 0 && !r.logprobs:
		return invalid("top_logprobs", "top_logprobs is only allowed when logprobs is true")
	}
	return nil
}

// parseKeeping reads what the server should remember.
func (r *chatRequest) parseKeeping(o object) error {
	if err := o.read("store", "store", &r.store); err != nil {
		return err
	}
	var err error
	if r.metadata, err = parseMetadata(o); err != nil {
		return err
	}
	if r.metadata != nil && !r.store {
		return invalid("metadata", "metadata is only allowed when store is true: it is kept with what is stored")
	}
	if !o.has("conversation") {
		return nil
	}
	if json.Unmarshal(o["conversation"], &r.conversation) != nil {
		var named object
		if err := json.Unmarshal(o["conversation"], &named); err != nil || !named.has("id") {
			return invalid("conversation", "conversation must be an id or an object with an id, not %s", kind(o["conversation"]))
		}
		if err := named.read("conversation.id", "id", &r.conversation); err != nil {
			return err
		}
	}
	switch {
	case r.conversation == "":
		return invalid("conversation", "conversation is empty; it must be the id of a conversation")
	case r.choices > 1:
		return invalid("n", "n must be 1 when a conversation is named: it goes on with one reply")
	}
	return nil
}

// Limits of metadata, as OpenAI's specification has them.
const (
	maxMetadata      = 16
	maxMetadataKey   = 64
	maxMetadataValue = 512
)

// parseMetadata reads the field metadata, nil if it is not there.
func parseMetadata(o object) (map[string]string, error) {
	var values map[string]json.RawMessage
	if !o.has("metadata") {
		return nil, nil
	}
	if json.Unmarshal(o["metadata"], &values) != nil {
		return nil, invalid("metadata", "metadata must be an object of strings, not %s", kind(o["metadata"]))
	}
	if len(values) > maxMetadata {
		return nil, invalid("metadata", "metadata has %d entries; at most %d are allowed", len(values), maxMetadata)
	}
	metadata := make(map[string]string, len(values))
	for key, value := range values {
		var text string
		switch {
		case json.Unmarshal(value, &text) != nil || string(value) == "null":
			return nil, invalid("metadata", "metadata[%q] must be a string, not %s", key, kind(value))
		case key == "" || utf8.RuneCountInString(key) > maxMetadataKey:
			return nil, invalid("metadata", "a key of metadata must have 1 to %d characters, not %d", maxMetadataKey, utf8.RuneCountInString(key))
		case utf8.RuneCountInString(text) > maxMetadataValue:
			return nil, invalid("metadata", "metadata[%q] has %d characters; at most %d are allowed", key, utf8.RuneCountInString(text), maxMetadataValue)
		}
		metadata[key] = text
	}
	return metadata, nil
}
