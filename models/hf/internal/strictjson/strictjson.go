// Package strictjson reads JSON objects whose keys must be unique.
//
// Files that come from elsewhere (a model's configuration, the header of a
// weights file) are checked key by key, so that an error can name the key. The
// standard library's struct decoding takes "N_EMBD" for "n_embd" and lets the
// last of two equal keys win; this package does neither.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Member is one key of an object, its value still in JSON.
type Member struct {
	Key   string
	Value json.RawMessage
}

// Object splits one JSON object into its members, in the order of the file.
// Anything but white space after the object, or a key that comes twice, is an
// error.
func Object(data []byte) ([]Member, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	first, err := d.Token()
	if err != nil {
		return nil, where(data, err)
	}
	if first != json.Delim('{') {
		return nil, fmt.Errorf("want a JSON object {…}, not %s", Show(data))
	}
	var members []Member
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, where(data, err)
		}
		key := token.(string) // the decoder allows nothing else before a colon
		if seen[key] {
			return nil, fmt.Errorf("key %q is there twice", key)
		}
		seen[key] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, where(data, err)
		}
		members = append(members, Member{key, value})
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return nil, where(data, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("line %d: something follows the JSON object", line(data, d.InputOffset()))
	}
	return members, nil
}

// Show is a value shortened for an error message.
func Show(value []byte) string {
	const most = 40
	value = bytes.TrimSpace(value)
	if len(value) <= most {
		return string(bytes.ToValidUTF8(value, []byte("?")))
	}
	return string(bytes.ToValidUTF8(value[:most], nil)) + "…"
}

// where adds the line to a syntax error.
func where(data []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: %w", line(data, syntax.Offset), err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the JSON ends early, in line %d", line(data, int64(len(data))))
	}
	return err
}

func line(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}
