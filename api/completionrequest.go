package api

import (
	"encoding/json"
	"fmt"
	"slices"
)

// completionRequest is the body of POST /v1/completions, checked for form.
type completionRequest struct {
	generation
	prompts []prompt
	echo    bool
	bestOf  int // texts of which the best n are the choices; at least n
}

// prompt is a text to continue, or its token ids when they are not nil.
type prompt struct {
	text string
	ids  []int32
}

var completionFields = fields{
	served:  slices.Concat(generationFields, []string{"prompt", "echo", "best_of", "logprobs"}),
	idle:    idleFields,
	refused: map[string][]string{"suffix": {`""`}},
}

// Limits of text completions, the first three as OpenAI's specification has
// them.
const (
	defaultCompletionTokens = 16
	maxBestOf               = 20
	maxPrompts              = 2048
	maxTexts                = 2048 // prompts times choices
)

func parseCompletion(o object) (*completionRequest, error) {
	if err := completionFields.check(o); err != nil {
		return nil, err
	}
	r := &completionRequest{}
	for _, step := range []func(object) error{r.parsePrompt, r.parse, r.parseEcho, r.parseLogprobs, r.parseBestOf} {
		if err := step(o); err != nil {
			return nil, err
		}
	}
	if n := len(r.prompts) * r.bestOf; n > maxTexts {
		return nil, invalid("n", "%d prompts with n or best_of = %d make %d texts; at most %d are allowed", len(r.prompts), r.bestOf, n, maxTexts)
	}
	return r, nil
}

// parsePrompt reads a text, token ids, or an array of either.
func (r *completionRequest) parsePrompt(o object) error {
	if !o.has("prompt") {
		return invalid("prompt", "prompt is missing")
	}
	texts, err := parseTexts("prompt", o["prompt"], maxPrompts)
	if err != nil {
		return err
	}
	for i, t := range texts {
		if t.text == "" && len(t.ids) == 0 {
			return invalid("prompt", "prompt %d is empty; a model needs at least one token to go on from", i)
		}
	}
	r.prompts = texts
	return nil
}

func (r *completionRequest) parseEcho(o object) error {
	if err := o.read("echo", "echo", &r.echo); err != nil {
		return err
	}
	if r.maxTokens == nil {
		r.maxTokens = new(defaultCompletionTokens)
	}
	if *r.maxTokens == 0 && !r.echo {
		return invalid("max_tokens", "max_tokens must be at least 1 unless echo is true")
	}
	return nil
}

// parseLogprobs reads how many alternatives to give; 0 asks for the tokens'
// own log-probabilities.
func (r *completionRequest) parseLogprobs(o object) error {
	if !o.has("logprobs") {
		return nil
	}
	r.logprobs = true
	if err := o.read("logprobs", "logprobs", &r.topLogprobs); err != nil {
		return err
	}
	switch {
	case r.topLogprobs < 0 || r.topLogprobs > maxTextLogprobs:
		return invalid("logprobs", "logprobs must lie between 0 and %d, not %d", maxTextLogprobs, r.topLogprobs)
	case r.echo:
		return unsupported("logprobs", "logprobs of an echoed prompt are not supported by this server")
	}
	return nil
}

// parseBestOf reads how many texts are written for the choices. Which are the
// best is known when all are whole, so there is nothing to stream before.
func (r *completionRequest) parseBestOf(o object) error {
	r.bestOf = r.choices
	if !o.has("best_of") {
		return nil
	}
	if err := o.read("best_of", "best_of", &r.bestOf); err != nil {
		return err
	}
	switch {
	case r.bestOf < r.choices || r.bestOf > maxBestOf:
		return invalid("best_of", "best_of must lie between n (%d) and %d, not %d", r.choices, maxBestOf, r.bestOf)
	case r.bestOf > r.choices && r.stream:
		return invalid("best_of", "best_of above n cannot be streamed")
	}
	return nil
}

// parseTexts reads a text, token ids, or an array of either.
func parseTexts(name string, value json.RawMessage, limit int) ([]prompt, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return []prompt{{text: text}}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(value, &items) != nil {
		return nil, invalid(name, "%s must be a string or an array, not %s", name, kind(value))
	}
	switch {
	case len(items) == 0:
		return nil, invalid(name, "%s is empty; it needs at least one text", name)
	case isNumber(items[0]):
		ids, err := parseIDs(name, name, items)
		return []prompt{{ids: ids}}, err
	case len(items) > limit:
		return nil, invalid(name, "%s has %d texts; at most %d are allowed", name, len(items), limit)
	}
	texts := make([]prompt, len(items))
	for i, item := range items {
		path := fmt.Sprintf("%s[%d]", name, i)
		if string(item) != "null" && json.Unmarshal(item, &texts[i].text) == nil {
			continue
		}
		var ids []json.RawMessage
		if string(item) == "null" || json.Unmarshal(item, &ids) != nil {
			return nil, invalid(name, "%s must be a string or an array of token ids, not %s", path, kind(item))
		}
		var err error
		if texts[i].ids, err = parseIDs(name, path, ids); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func isNumber(v json.RawMessage) bool {
	return json.Unmarshal(v, new(json.Number)) == nil && v[0] != '"' && string(v) != "null"
}

// parseIDs reads token ids. Whether the vocabulary has them, the model says.
func parseIDs(name, path string, items []json.RawMessage) ([]int32, error) {
	ids := make([]int32, len(items))
	for i, item := range items {
		if string(item) == "null" || json.Unmarshal(item, &ids[i]) != nil {
			return nil, invalid(name, "%s[%d] must be a token id, not %s", path, i, kind(item))
		}
	}
	return ids, nil
}
