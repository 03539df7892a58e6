package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// readJSON decodes a file; an error names the file and the line.
func readJSON(fsys fs.FS, name string, v any) error {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	err = json.Unmarshal(data, v)
	if err == nil {
		return nil
	}
	offset := int64(-1)
	var syntax *json.SyntaxError
	var mismatch *json.UnmarshalTypeError
	var merge *mergeError
	switch {
	case errors.As(err, &merge):
		err = fmt.Errorf("model.merges[%d]: %w", merge.index, merge.err)
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &mismatch):
		offset = mismatch.Offset
		if mismatch.Field != "" {
			err = fmt.Errorf("%s: a %s cannot be read as %s", mismatch.Field, mismatch.Value, mismatch.Type)
		}
	}
	if offset < 0 || offset > int64(len(data)) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("%s:%d: %w", name, 1+bytes.Count(data[:offset], []byte("\n")), err)
}

// readOptionalJSON is readJSON, except that a missing file changes nothing.
func readOptionalJSON(fsys fs.FS, name string, v any) error {
	if err := readJSON(fsys, name, v); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// mergeList is the list of merges in tokenizer.json: each "left right" or, in files
// written since 2024, ["left", "right"].
type mergeList [][2]string

func (l *mergeList) UnmarshalJSON(data []byte) error {
	// Nearly all files hold pairs only, which are quickly read.
	var pairs [][]string
	if json.Unmarshal(data, &pairs) == nil {
		*l = make(mergeList, len(pairs))
		for i, p := range pairs {
			if len(p) != 2 {
				return &mergeError{i, fmt.Errorf("%q are not two entries", p)}
			}
			(*l)[i] = [2]string(p)
		}
		return nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*l = make(mergeList, len(raw))
	for i, r := range raw {
		m, err := unmarshalMerge(r)
		if err != nil {
			return &mergeError{i, err}
		}
		(*l)[i] = m
	}
	return nil
}

func unmarshalMerge(data []byte) (m [2]string, err error) {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return m, err
		}
		return parseMerge(s)
	}
	var pair []string
	if err := json.Unmarshal(data, &pair); err != nil || len(pair) != 2 {
		return m, fmt.Errorf("%s is neither \"left right\" nor [\"left\", \"right\"]", clip(string(data)))
	}
	return [2]string{pair[0], pair[1]}, nil
}
