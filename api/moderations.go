package api

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"causerie/api/moderation"
)

// moderationNames are the model names that clients send by default; all get
// the one list of rules there is, and the answer says so.
var moderationNames = []string{moderation.Model, "omni-moderation-latest", "omni-moderation-2024-09-26", "text-moderation-latest", "text-moderation-stable"}

var moderationFields = fields{served: []string{"model", "input"}}

// moderationResult is OpenAI's form of what was found in one input.
type moderationResult struct {
	Flagged    bool                `json:"flagged"`
	Categories map[string]bool     `json:"categories"`
	Scores     map[string]float64  `json:"category_scores"`
	Applied    map[string][]string `json:"category_applied_input_types"`
}

// moderations answers POST /v1/moderations. It needs no model, so it answers
// while one is loading.
func (s *Server) moderations(w http.ResponseWriter, r *http.Request) error {
	body, err := readObject(w, r)
	if err != nil {
		return err
	}
	if err := moderationFields.check(body); err != nil {
		return err
	}
	var name string
	if err := body.read("model", "model", &name); err != nil {
		return err
	}
	if name != "" && !slices.Contains(moderationNames, name) {
		return &Error{
			Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
			Message: fmt.Sprintf("the moderation model %q does not exist; this server has %q", name, moderation.Model),
		}
	}
	texts, err := parseModerated(body)
	if err != nil {
		return err
	}
	results := make([]moderationResult, len(texts))
	for i, text := range texts {
		found, err := moderation.Check(text)
		if err != nil {
			return err
		}
		results[i] = moderationOf(found)
	}
	writeJSON(w, http.StatusOK, struct {
		ID      string             `json:"id"`
		Model   string             `json:"model"`
		Results []moderationResult `json:"results"`
	}{"modr-" + rand.Text(), moderation.Model, results})
	return nil
}

// moderationOf is a result whose scores are 1 where a rule was met: rules know
// no degrees.
func moderationOf(found moderation.Result) moderationResult {
	m := moderationResult{
		Flagged: found.Flagged, Categories: found.Categories,
		Scores: make(map[string]float64), Applied: make(map[string][]string),
	}
	for category, met := range found.Categories {
		m.Scores[category], m.Applied[category] = 0, []string{"text"}
		if met {
			m.Scores[category] = 1
		}
	}
	return m
}

// parseModerated reads a text, an array of texts, or an array of text parts,
// which are one input together.
func parseModerated(o object) ([]string, error) {
	if !o.has("input") {
		return nil, invalid("input", "input is missing")
	}
	var text string
	if json.Unmarshal(o["input"], &text) == nil {
		return []string{text}, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(o["input"], &items) != nil {
		return nil, invalid("input", "input must be a string or an array, not %s", kind(o["input"]))
	}
	switch {
	case len(items) == 0:
		return nil, invalid("input", "input is empty; it needs at least one text")
	case len(items) > maxInputs:
		return nil, invalid("input", "input has %d texts; at most %d are allowed", len(items), maxInputs)
	case kind(items[0]) == "an object":
		parts, err := parseContent("input", o["input"], "text")
		for _, p := range parts {
			text += p + "\n"
		}
		return []string{text}, err
	}
	texts := make([]string, len(items))
	for i, item := range items {
		if string(item) == "null" || json.Unmarshal(item, &texts[i]) != nil {
			return nil, invalid("input", "input[%d] must be a string, not %s", i, kind(item))
		}
	}
	return texts, nil
}
