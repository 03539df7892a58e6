package corpora

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"causerie/models/dialogue"
)

// jsonLine is a line of FormatTurns or FormatOpenAI.
type jsonLine struct {
	ID       json.RawMessage `json:"id"`
	Lang     string          `json:"lang"`
	Turns    []string        `json:"turns"`
	Messages []jsonMessage   `json:"messages"`
}

// dialogue makes a Dialogue of the line.
func (l *jsonLine) dialogue(f Format) (d Dialogue, err error) {
	d.Lang = l.Lang
	if d.ID, err = jsonID(l.ID); err != nil {
		return d, err
	}
	if f == FormatOpenAI {
		d.Turns, err = openAITurns(l.Messages)
	} else {
		d.Turns, err = alternating(l.Turns, "turns")
	}
	return d, err
}

type jsonMessage struct {
	Role         string          `json:"role"`
	Content      json.RawMessage `json:"content"`
	Weight       *float64        `json:"weight"`
	ToolCalls    json.RawMessage `json:"tool_calls"`
	FunctionCall json.RawMessage `json:"function_call"`
}

// json parses a line of a JSON format.
func (r *Reader) json(line []byte) (Dialogue, error) {
	var in interface {
		dialogue(Format) (Dialogue, error)
	} = &jsonLine{}
	if r.format == FormatPreferences {
		in = &jsonPreference{}
	}
	if err := json.Unmarshal(line, in); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(line), []byte("[")) {
			return Dialogue{}, r.notObject(bytes.TrimSpace(line))
		}
		return Dialogue{}, r.badLine("%s", jsonReason(err))
	}
	d, err := in.dialogue(r.format)
	if err == nil {
		err = loneSurrogate(line, d)
	}
	if err != nil {
		return Dialogue{}, r.badLine("%v", err)
	}
	return d, nil
}

// alternating makes turns of texts: the speakers take turns, the user is first.
func alternating(texts []string, key string) ([]dialogue.Turn, error) {
	if len(texts) == 0 {
		return nil, fmt.Errorf("key %q is missing or empty", key)
	}
	turns := make([]dialogue.Turn, len(texts))
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("%s[%d] is empty", key, i)
		}
		if i%2 == 0 {
			turns[i] = dialogue.User(text)
		} else {
			turns[i] = dialogue.Assistant(text)
		}
	}
	return turns, nil
}

// jsonID takes a string or a number for an id.
func jsonID(raw json.RawMessage) (string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return "", nil
	}
	if raw[0] == '"' {
		var id string
		err := json.Unmarshal(raw, &id)
		return id, err
	}
	var id json.Number
	if err := json.Unmarshal(raw, &id); err != nil {
		return "", errors.New(`key "id": neither a string nor a number`)
	}
	return id.String(), nil
}

// loneSurrogate finds the one way in which valid JSON can hold invalid
// Unicode: half a pair of \u escapes, which the decoder has replaced.
func loneSurrogate(line []byte, d Dialogue) error {
	if !bytes.Contains(line, []byte(`\u`)) || bytes.Contains(line, []byte("\uFFFD")) {
		return nil
	}
	if bytes.Contains(bytes.ToLower(line), []byte(`\ufffd`)) {
		return nil
	}
	for i, t := range d.Turns {
		if strings.ContainsRune(t.Text, '\uFFFD') {
			return fmt.Errorf(`turn %d: a \u escape is half a surrogate pair, which is not Unicode`, i+1)
		}
	}
	if strings.ContainsRune(d.Rejected, '\uFFFD') {
		return errors.New(`the reply that is not preferred: a \u escape is half a surrogate pair, which is not Unicode`)
	}
	return nil
}

// jsonReason says in our words what the JSON decoder did not like.
func jsonReason(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("not valid JSON at byte %d: %v", syntax.Offset, syntax)
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		got, _, _ := strings.Cut(mismatch.Value, " ") // "number 1e999"
		switch got {
		case "array":
			got = "a list"
		case "object":
			got = "an object"
		default:
			got = "a " + got
		}
		if mismatch.Field == "" {
			return got + " where an object is expected"
		}
		return fmt.Sprintf("key %q: %s where %s is expected", mismatch.Field, got, typeName(mismatch.Type))
	}
	return err.Error()
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Float64:
		return "a number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.String {
			return "a list of strings"
		}
		return "a list of objects"
	default:
		return "an object"
	}
}
