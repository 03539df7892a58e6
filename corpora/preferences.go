package corpora

import (
	"encoding/json"
	"errors"
	"fmt"

	"causerie/models/dialogue"
)

// jsonPreference is a line of FormatPreferences.
type jsonPreference struct {
	ID    json.RawMessage `json:"id"`
	Lang  string          `json:"lang"`
	Input *struct {
		Messages []jsonMessage   `json:"messages"`
		Tools    json.RawMessage `json:"tools"`
		// Without tools it means nothing.
		ParallelToolCalls *bool `json:"parallel_tool_calls"`
	} `json:"input"`
	Preferred []jsonMessage `json:"preferred_output"`
	Rejected  []jsonMessage `json:"non_preferred_output"`
}

// dialogue makes a Dialogue of the line: the input and the preferred output,
// with the other one beside it.
func (l *jsonPreference) dialogue(Format) (d Dialogue, err error) {
	d.Lang = l.Lang
	if d.ID, err = jsonID(l.ID); err != nil {
		return d, err
	}
	if d.Turns, err = l.prompt(); err != nil {
		return d, err
	}
	preferred, err := output("preferred_output", l.Preferred)
	if err != nil {
		return d, err
	}
	rejected, err := output("non_preferred_output", l.Rejected)
	if err != nil {
		return d, err
	}
	if preferred.Text == rejected.Text {
		return d, errors.New("preferred_output and non_preferred_output are the same, so there is nothing to learn")
	}
	d.Turns, d.Rejected = append(d.Turns, preferred), rejected.Text
	return d, nil
}

// prompt is what both outputs reply to.
func (l *jsonPreference) prompt() ([]dialogue.Turn, error) {
	switch {
	case l.Input == nil:
		return nil, errors.New(`key "input" is missing: a preference is {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}`)
	case present(l.Input.Tools):
		return nil, errors.New("input.tools: tools are not supported")
	case len(l.Input.Messages) == 0:
		return nil, errors.New(`key "input.messages" is missing or empty`)
	}
	turns := make([]dialogue.Turn, len(l.Input.Messages), len(l.Input.Messages)+1)
	for i, m := range l.Input.Messages {
		turn, err := openAITurn(m)
		if err != nil {
			return nil, fmt.Errorf("input.messages[%d]: %w", i, err)
		}
		turns[i] = turn
	}
	if last := turns[len(turns)-1].Role; last != dialogue.RoleUser {
		return nil, fmt.Errorf("input.messages: the last one is of the role %s; it must be the user's, to whom the outputs reply", last)
	}
	return turns, nil
}

// output is the one message of an output.
func output(key string, messages []jsonMessage) (dialogue.Turn, error) {
	switch len(messages) {
	case 0:
		return dialogue.Turn{}, fmt.Errorf("key %q is missing or empty", key)
	case 1:
	default:
		return dialogue.Turn{}, fmt.Errorf("%s: %d messages where one is expected", key, len(messages))
	}
	turn, err := openAITurn(messages[0])
	switch {
	case err != nil:
	case turn.Role != dialogue.RoleAssistant:
		err = fmt.Errorf("the role is %s, not assistant", turn.Role)
	case turn.Weight != 1:
		err = errors.New(`key "weight": an output counts whole or is left out`)
	}
	if err != nil {
		return turn, fmt.Errorf("%s[0]: %w", key, err)
	}
	return turn, nil
}
