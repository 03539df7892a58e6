package grammar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// value is a JSON value with the keys of objects in their order.
type value struct {
	kind    kind
	text    string // of a string, or the spelling of a number
	truth   bool
	items   []*value
	members []member
}

type member struct {
	key   string
	value *value
}

type kind string

const (
	null    kind = "null"
	boolean kind = "boolean"
	number  kind = "number"
	text    kind = "string"
	array   kind = "array"
	object  kind = "object"
)

// get is the value of a key, nil if there is none.
func (v *value) get(key string) *value {
	for _, m := range v.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// maxSchemaDepth bounds the nesting of what is read.
const maxSchemaDepth = 100

// parse reads one JSON value.
func parse(data []byte) (*value, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	v, err := read(d, 0)
	if err != nil {
		return nil, err
	}
	if d.More() {
		return nil, errors.New("there is more than one value")
	}
	return v, nil
}

func read(d *json.Decoder, depth int) (*value, error) {
	if depth > maxSchemaDepth {
		return nil, fmt.Errorf("it nests deeper than %d levels", maxSchemaDepth)
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
		return &value{kind: null}, nil
	case bool:
		return &value{kind: boolean, truth: t}, nil
	case json.Number:
		return &value{kind: number, text: t.String()}, nil
	case string:
		return &value{kind: text, text: t}, nil
	}
	if t == json.Delim('[') {
		return readArray(d, depth)
	}
	return readObject(d, depth)
}

func readArray(d *json.Decoder, depth int) (*value, error) {
	v := &value{kind: array}
	for d.More() {
		item, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.items = append(v.items, item)
	}
	_, err := d.Token()
	return v, err
}

func readObject(d *json.Decoder, depth int) (*value, error) {
	v := &value{kind: object}
	for seen := map[string]bool{}; d.More(); {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := t.(string) // the decoder lets nothing else through
		if seen[key] {
			return nil, fmt.Errorf("an object has the key %q twice", key)
		}
		seen[key] = true
		item, err := read(d, depth+1)
		if err != nil {
			return nil, err
		}
		v.members = append(v.members, member{key, item})
	}
	_, err := d.Token()
	return v, err
}

// spell writes a value as the grammar does: without white space, and strings
// with no escapes that are not needed.
func (v *value) spell() string {
	var b strings.Builder
	v.write(&b)
	return b.String()
}

func (v *value) write(b *strings.Builder) {
	switch v.kind {
	case boolean:
		fmt.Fprint(b, v.truth)
	case number:
		b.WriteString(v.text)
	case text:
		b.WriteString(quote(v.text))
	case array:
		for i, item := range v.items {
			b.WriteByte("[,"[min(i, 1)])
			item.write(b)
		}
		b.WriteString("[]"[min(len(v.items), 1):])
	case object:
		for i, m := range v.members {
			b.WriteByte("{,"[min(i, 1)])
			b.WriteString(quote(m.key) + ":")
			m.value.write(b)
		}
		b.WriteString("{}"[min(len(v.members), 1):])
	default:
		b.WriteString("null")
	}
}

// quote is a string in JSON.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		b.WriteString(escape(r))
	}
	b.WriteByte('"')
	return b.String()
}

// escape is a character in a JSON string.
func escape(r rune) string {
	switch r {
	case '"', '\\':
		return `\` + string(r)
	case '\n':
		return `\n`
	case '\r':
		return `\r`
	case '\t':
		return `\t`
	}
	if r < 0x20 {
		return fmt.Sprintf(`\u%04x`, r)
	}
	return string(r)
}
