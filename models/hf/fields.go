package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"

	"causerie/models/hf/internal/strictjson"
)

// maxJSON is the most a configuration file may hold; real ones are below 10 kB.
const maxJSON = 1 << 20

// readFile reads a file of a folder, but no more than limit bytes. Errors name
// the file as folder/file.
func readFile(fsys fs.FS, folder, file string, limit int64) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(folder, file), cause(err))
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", path.Join(folder, file), cause(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes, this is no such file", path.Join(folder, file), limit)
	}
	return data, nil
}

// cause is what went wrong, without the operation and path of a PathError.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// fields takes the keys of a JSON object one after another. Errors are
// collected, so that one reading reports all of them; null counts as absent.
type fields struct {
	left map[string]json.RawMessage // not taken yet
	errs []error
}

func parseFields(data []byte) (*fields, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	members, err := strictjson.Object(data)
	if err != nil {
		return nil, err
	}
	f := &fields{left: make(map[string]json.RawMessage, len(members))}
	for _, m := range members {
		f.left[m.Key] = m.Value
	}
	return f, nil
}

// has says whether the key was in the file, even as null, and not taken yet.
func (f *fields) has(key string) bool {
	_, ok := f.left[key]
	return ok
}

// take removes a key; its value is nil when the key is absent or null.
func (f *fields) take(key string) json.RawMessage {
	value := f.left[key]
	delete(f.left, key)
	if string(value) == "null" {
		return nil
	}
	return value
}

func (f *fields) fail(key, format string, args ...any) {
	f.errs = append(f.errs, fmt.Errorf("%s: %w", key, fmt.Errorf(format, args...)))
}

// rest are the keys not taken, or nil when there are none.
func (f *fields) rest() map[string]json.RawMessage {
	if len(f.left) == 0 {
		return nil
	}
	return f.left
}

// integer takes a whole number of at least low into *dst; *dst stays when the
// key is absent. It says whether it set *dst.
func (f *fields) integer(key string, low int, dst *int) bool {
	value := f.take(key)
	if value == nil {
		return false
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	switch {
	case err != nil || n > math.MaxInt32:
		f.fail(key, "want a whole number, not %s", strictjson.Show(value))
	case n < int64(low):
		f.fail(key, "want at least %d, not %d", low, n)
	default:
		*dst = int(n)
		return true
	}
	return false
}

// number takes a number into *dst; *dst stays when the key is absent. It says
// whether it set *dst.
func (f *fields) number(key string, dst *float64) bool {
	value := f.take(key)
	if value == nil {
		return false
	}
	if err := json.Unmarshal(value, dst); err != nil {
		f.fail(key, "want a number, not %s", strictjson.Show(value))
		return false
	}
	return true
}

// flag takes true or false; absent is the default.
func (f *fields) flag(key string, absent bool) bool {
	switch value := f.take(key); string(value) {
	case "":
		return absent
	case "true":
		return true
	case "false":
		return false
	default:
		f.fail(key, "want true or false, not %s", strictjson.Show(value))
		return absent
	}
}

// text takes a string; absent is the default.
func (f *fields) text(key, absent string) string {
	value := f.take(key)
	if value == nil {
		return absent
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		f.fail(key, "want a string, not %s", strictjson.Show(value))
		return absent
	}
	return s
}

// texts takes a list of strings.
func (f *fields) texts(key string) []string {
	value := f.take(key)
	if value == nil {
		return nil
	}
	var raw []json.RawMessage
	list := []string{}
	if err := json.Unmarshal(value, &raw); err != nil || json.Unmarshal(value, &list) != nil || slices.ContainsFunc(raw, isNull) {
		f.fail(key, "want a list of strings, not %s", strictjson.Show(value))
		return nil
	}
	return list
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }

// ids takes one token id or a list of them. Negative ids, which some folders
// write for "none", are left out.
func (f *fields) ids(key string) []int32 {
	value := f.take(key)
	if value == nil {
		return nil
	}
	var raw []json.RawMessage
	if value[0] != '[' {
		raw = []json.RawMessage{value}
	} else if err := json.Unmarshal(value, &raw); err != nil {
		f.fail(key, "want token ids, not %s", strictjson.Show(value))
		return nil
	}
	var ids []int32
	for _, v := range raw {
		id, err := strconv.ParseInt(string(v), 10, 32)
		if err != nil {
			f.fail(key, "want a token id, not %s", strictjson.Show(v))
			return nil
		}
		if id >= 0 {
			ids = append(ids, int32(id))
		}
	}
	return ids
}

// id takes one token id; nil when there is none.
func (f *fields) id(key string) *int32 {
	if value := f.left[key]; len(value) > 0 && value[0] == '[' {
		f.take(key)
		f.fail(key, "want one token id, not %s", strictjson.Show(value))
		return nil
	}
	if ids := f.ids(key); len(ids) == 1 {
		return &ids[0]
	}
	return nil
}

// marshalFields writes a JSON object as transformers does: keys in order,
// indented by two, a newline at the end. The keys of rest come beside those of
// values and give way to them.
func marshalFields(values map[string]any, rest map[string]json.RawMessage) ([]byte, error) {
	all := make(map[string]any, len(values)+len(rest))
	for key, value := range rest {
		all[key] = value
	}
	maps.Copy(all, values)
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(all); err != nil {
		return nil, err
	}
	return []byte(b.String()), nil
}

// idsValue is how a file writes token ids: null, one number, or a list.
func idsValue(ids []int32) any {
	switch len(ids) {
	case 0:
		return nil
	case 1:
		return ids[0]
	}
	return ids
}
