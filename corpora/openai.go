package corpora

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"causerie/models/dialogue"
)

// openAITurns makes turns of the messages of OpenAI's fine-tuning format.
func openAITurns(messages []jsonMessage) ([]dialogue.Turn, error) {
	if len(messages) == 0 {
		return nil, errors.New(`key "messages" is missing or empty`)
	}
	turns := make([]dialogue.Turn, len(messages))
	answered := false
	for i, m := range messages {
		turn, err := openAITurn(m)
		if err != nil {
			return nil, fmt.Errorf("messages[%d]: %w", i, err)
		}
		turns[i] = turn
		answered = answered || turn.Role == dialogue.RoleAssistant
	}
	if !answered {
		return nil, errors.New("no message of the assistant, so there is nothing to learn")
	}
	return turns, nil
}

func openAITurn(m jsonMessage) (dialogue.Turn, error) {
	turn := dialogue.Turn{Weight: 1}
	switch m.Role {
	case "":
		return turn, errors.New(`key "role" is missing`)
	case "tool", "function":
		return turn, fmt.Errorf("role %q is not supported: a dialogue here is made of what system, user and assistant say", m.Role)
	}
	var err error
	if turn.Role, err = dialogue.ParseRole(m.Role); err != nil {
		return turn, err
	}
	if present(m.ToolCalls) || present(m.FunctionCall) {
		return turn, errors.New("calls of tools are not supported")
	}
	if m.Weight != nil {
		if *m.Weight != 0 && *m.Weight != 1 {
			return turn, fmt.Errorf(`key "weight": %v is neither 0 nor 1`, *m.Weight)
		}
		turn.Weight = float32(*m.Weight)
	}
	if turn.Text, err = contentText(m.Content); err != nil {
		return turn, err
	}
	if strings.TrimSpace(turn.Text) == "" {
		return turn, errors.New(`key "content" is empty`)
	}
	return turn, nil
}

// present says whether a key has a value that means something.
func present(raw json.RawMessage) bool {
	s := string(raw)
	return s != "" && s != "null" && s != "[]"
}

// contentText takes a string, or a list of parts of type "text", which stand on
// lines of their own.
func contentText(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", errors.New(`key "content" is missing`)
	}
	var text string
	if raw[0] == '"' {
		err := json.Unmarshal(raw, &text)
		return text, err
	}
	var parts []struct {
		Type string  `json:"type"`
		Text *string `json:"text"`
	}
	if raw[0] != '[' {
		return "", errors.New(`key "content": neither a string nor a list of parts`)
	}
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", fmt.Errorf(`key "content": %s`, jsonReason(err))
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		if p.Type != "text" {
			return "", fmt.Errorf(`content[%d]: type %q is not supported, only "text" is`, i, p.Type)
		}
		if p.Text == nil {
			return "", fmt.Errorf(`content[%d]: key "text" is missing`, i)
		}
		texts[i] = *p.Text
	}
	return strings.Join(texts, "\n"), nil
}
