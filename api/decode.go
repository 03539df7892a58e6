package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// maxBody is the largest request body that is read: far more text than any
// context holds, little enough to keep in memory.
const maxBody = 4 << 20

// bodyTime is how long a client may take to send it.
const bodyTime = 30 * time.Second

// readRequest is readObject for an endpoint that needs a model: while there is
// none, no body is read.
func (s *Server) readRequest(w http.ResponseWriter, r *http.Request) (object, error) {
	if _, err := s.ready(); err != nil {
		return nil, err
	}
	return readObject(w, r)
}

// readObject reads the body, which must be one JSON object, into its fields.
// What a field means is left to whoever knows it, so that every error can say
// where it is; fields nobody knows are ignored.
func readObject(w http.ResponseWriter, r *http.Request) (object, error) {
	body, err := readBody(w, r)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		e := invalid("", "the request body is larger than %d bytes", tooLarge.Limit)
		e.Code = "request_too_large"
		return nil, e
	case err != nil:
		return nil, fmt.Errorf("reading the request body: %w", err)
	case len(bytes.TrimSpace(body)) == 0:
		return nil, invalid("", "the request body is empty; it must be a JSON object")
	}
	var o object
	if err := json.Unmarshal(body, &o); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, invalid("", "the request body is not valid JSON: %v at byte %d", syntax, syntax.Offset)
		}
		return nil, invalid("", "the request body must be a JSON object")
	}
	if o == nil {
		return nil, invalid("", "the request body must be a JSON object, not null")
	}
	return o, nil
}

// readBody reads the whole body, within bounds of size and time. The time limit
// is lifted afterwards: it would end a long reply.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	// A connection without deadlines, as in some tests, is read without one.
	if control.SetReadDeadline(time.Now().Add(bodyTime)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	}
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
}

// object is a JSON object whose values are not read yet.
type object map[string]json.RawMessage

// has reports whether the field is there and not null.
func (o object) has(name string) bool {
	v, ok := o[name]
	return ok && string(v) != "null"
}

// read decodes one field into dst, a pointer; an absent field or null leaves
// it as it is. path is how the error calls the field.
func (o object) read(path, name string, dst any) error {
	if !o.has(name) {
		return nil
	}
	return decode(path, o[name], dst)
}

// decode reads a value of a known type; the error says what was expected.
func decode(path string, value json.RawMessage, dst any) error {
	if err := json.Unmarshal(value, dst); err == nil {
		return nil
	}
	want := "a value of another type"
	switch dst.(type) {
	case *string:
		want = "a string"
	case *bool:
		want = "true or false"
	case *float64:
		want = "a number"
	case *int, *int64, *uint64:
		want = "an integer"
	case *[]json.RawMessage, *[]string:
		want = "an array"
	case *object:
		want = "an object"
	case *map[string]float64:
		want = "an object of numbers"
	}
	return invalid(path, "%s must be %s, not %s", path, want, kind(value))
}

// kind is what a JSON value is, for error messages.
func kind(v json.RawMessage) string {
	s := strings.TrimSpace(string(v))
	switch {
	case s == "" || s == "null":
		return "null"
	case s == "true" || s == "false":
		return "a boolean"
	case s[0] == '"':
		return "a string"
	case s[0] == '[':
		return "an array"
	case s[0] == '{':
		return "an object"
	case len(s) <= 24:
		return "the number " + s
	}
	return "that number"
}
