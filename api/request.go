package api

import (
	"encoding/json"
	"fmt"
	"strconv"

	"causerie/models/dialogue"
)

// chatRequest is the body of POST /v1/chat/completions, checked for form.
// Pointers are nil where the client left the choice to the model.
type chatRequest struct {
	model    string
	messages []dialogue.Turn

	temperature, topP, minP         *float64
	presence, frequency, repetition *float64
	topK                            *int
	maxTokens                       *int
	seed                            *uint64
	stop                            []string
	logitBias                       map[int32]float64
	choices                         int // n
	stream, includeUsage            bool
}

// Limits of the request, as OpenAI's specification has them.
const (
	maxStops       = 4
	maxChoices     = 16
	maxTemperature = 2
	maxPenalty     = 2
	maxBias        = 100
)

// refused are fields of OpenAI's API whose meaning a reply would lack if they
// were ignored, and the values that ask for nothing.
var refused = []struct {
	name    string
	nothing []string
}{
	{"tools", []string{"[]"}}, {"tool_choice", []string{`"none"`, `"auto"`}},
	{"functions", []string{"[]"}}, {"function_call", []string{`"none"`, `"auto"`}},
	{"logprobs", []string{"false"}}, {"top_logprobs", []string{"0"}},
	{"audio", nil}, {"modalities", []string{`["text"]`}}, {"prediction", nil},
	{"web_search_options", nil}, {"store", []string{"false"}},
}

func parseChat(o object) (*chatRequest, error) {
	r := &chatRequest{choices: 1}
	if err := r.refuse(o); err != nil {
		return nil, err
	}
	for _, step := range []func(object) error{r.parseMessages, r.parseSampling, r.parseLimits, r.parseStream} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *chatRequest) refuse(o object) error {
	for _, f := range refused {
		if o.has(f.name) && !oneOf(compact(o[f.name]), f.nothing) {
			e := invalid(f.name, "%s is not supported by this server", f.name)
			e.Code = "unsupported_parameter"
			return e
		}
	}
	var format struct {
		Type string `json:"type"`
	}
	if err := o.read("response_format", "response_format", &format); err != nil {
		return err
	}
	if format.Type != "" && format.Type != "text" {
		e := invalid("response_format", "response_format %q is not supported by this server; only \"text\" is", format.Type)
		e.Code = "unsupported_parameter"
		return e
	}
	return nil
}

func compact(v json.RawMessage) string {
	var any any
	if json.Unmarshal(v, &any) != nil {
		return string(v)
	}
	b, err := json.Marshal(any)
	if err != nil {
		return string(v)
	}
	return string(b)
}

func oneOf(s string, list []string) bool {
	for _, l := range list {
		if s == l {
			return true
		}
	}
	return false
}

func (r *chatRequest) parseMessages(o object) error {
	if err := o.read("model", "model", &r.model); err != nil {
		return err
	}
	if !o.has("messages") {
		return invalid("messages", "messages is missing")
	}
	var messages []json.RawMessage
	if err := o.read("messages", "messages", &messages); err != nil {
		return err
	}
	if len(messages) == 0 {
		return invalid("messages", "messages is empty; it needs at least one message")
	}
	for i, m := range messages {
		turn, err := parseMessage(fmt.Sprintf("messages[%d]", i), m)
		if err != nil {
			return err
		}
		r.messages = append(r.messages, turn)
	}
	return nil
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
	if !m.has("content") {
		return turn, invalid(path+".content", "%s.content is missing", path)
	}
	turn.Text, err = parseContent(path+".content", m["content"])
	return turn, err
}

// parseContent reads a message's text: a string, or an array of text parts.
func parseContent(path string, value json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	var parts []object
	if json.Unmarshal(value, &parts) != nil {
		return "", invalid(path, "%s must be a string or an array of text parts, not %s", path, kind(value))
	}
	for i, part := range parts {
		at := fmt.Sprintf("%s[%d]", path, i)
		var kind, piece string
		if err := part.read(at+".type", "type", &kind); err != nil {
			return "", err
		}
		if kind != "text" {
			return "", invalid(at+".type", "%s.type is %q; only \"text\" parts are supported", at, kind)
		}
		if err := part.read(at+".text", "text", &piece); err != nil {
			return "", err
		}
		text += piece
	}
	return text, nil
}

func (r *chatRequest) parseSampling(o object) error {
	for _, f := range []struct {
		name     string
		dst      **float64
		min, max float64
	}{
		{"temperature", &r.temperature, 0, maxTemperature},
		{"top_p", &r.topP, 0, 1},
		{"min_p", &r.minP, 0, 1},
		{"presence_penalty", &r.presence, -maxPenalty, maxPenalty},
		{"frequency_penalty", &r.frequency, -maxPenalty, maxPenalty},
		{"repetition_penalty", &r.repetition, 0.01, 100},
	} {
		if !o.has(f.name) {
			continue
		}
		var v float64
		if err := o.read(f.name, f.name, &v); err != nil {
			return err
		}
		if v < f.min || v > f.max {
			return invalid(f.name, "%s must lie between %g and %g, not %g", f.name, f.min, f.max, v)
		}
		*f.dst = &v
	}
	if err := r.parseSeed(o); err != nil {
		return err
	}
	return r.parseBias(o)
}

func (r *chatRequest) parseSeed(o object) error {
	if !o.has("seed") {
		return nil
	}
	var seed int64
	if err := o.read("seed", "seed", &seed); err != nil {
		return err
	}
	u := uint64(seed)
	r.seed = &u
	return nil
}

func (r *chatRequest) parseBias(o object) error {
	var bias map[string]float64
	if err := o.read("logit_bias", "logit_bias", &bias); err != nil {
		return err
	}
	for key, v := range bias {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return invalid("logit_bias", "logit_bias has the key %q, which is not a token id", key)
		}
		if v < -maxBias || v > maxBias {
			return invalid("logit_bias", "logit_bias of token %d must lie between %d and %d, not %g", id, -maxBias, maxBias, v)
		}
		if r.logitBias == nil {
			r.logitBias = make(map[int32]float64)
		}
		r.logitBias[int32(id)] = v
	}
	return nil
}

func (r *chatRequest) parseLimits(o object) error {
	for _, f := range []struct {
		name     string
		dst      **int
		min, max int
	}{
		{"top_k", &r.topK, 0, 1 << 30},
		{"max_tokens", &r.maxTokens, 1, 1 << 30}, // the older name; the newer one wins
		{"max_completion_tokens", &r.maxTokens, 1, 1 << 30},
	} {
		if !o.has(f.name) {
			continue
		}
		var v int
		if err := o.read(f.name, f.name, &v); err != nil {
			return err
		}
		if v < f.min || v > f.max {
			return invalid(f.name, "%s must be at least %d, not %d", f.name, f.min, v)
		}
		*f.dst = &v
	}
	if err := o.read("n", "n", &r.choices); err != nil {
		return err
	}
	if r.choices < 1 || r.choices > maxChoices {
		return invalid("n", "n must lie between 1 and %d, not %d", maxChoices, r.choices)
	}
	return r.parseStop(o)
}

func (r *chatRequest) parseStop(o object) error {
	if !o.has("stop") {
		return nil
	}
	var one string
	if json.Unmarshal(o["stop"], &one) == nil {
		r.stop = []string{one}
	} else if json.Unmarshal(o["stop"], &r.stop) != nil {
		return invalid("stop", "stop must be a string or an array of strings, not %s", kind(o["stop"]))
	}
	if len(r.stop) > maxStops {
		return invalid("stop", "stop has %d strings; at most %d are allowed", len(r.stop), maxStops)
	}
	for i, s := range r.stop {
		if s == "" {
			return invalid("stop", "stop[%d] is empty", i)
		}
	}
	return nil
}

func (r *chatRequest) parseStream(o object) error {
	if err := o.read("stream", "stream", &r.stream); err != nil {
		return err
	}
	if !o.has("stream_options") {
		return nil
	}
	if !r.stream {
		return invalid("stream_options", "stream_options is only allowed when stream is true")
	}
	var options object
	if err := o.read("stream_options", "stream_options", &options); err != nil {
		return err
	}
	return options.read("stream_options.include_usage", "include_usage", &r.includeUsage)
}
