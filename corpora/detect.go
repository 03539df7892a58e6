package corpora

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
)

// detect finds the format out from the file's extension and its first line that
// is not empty.
func (r *Reader) detect(line []byte) (Format, error) {
	name := strings.ToLower(r.name)
	for _, ext := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, ext)
	}
	line = bytes.TrimSpace(line)
	// Whatever the name says: an object with our keys is nobody's small talk.
	if format := formatOfObject(line); format != FormatAuto {
		return format, nil
	}
	switch filepath.Ext(name) {
	case ".jsonl", ".ndjson", ".json":
		return FormatAuto, r.notObject(line)
	case ".txt", ".text":
		return FormatChitchat, nil
	case ".tsv", ".tab":
		return FormatTSV, nil
	}
	switch {
	case line[0] == '{' || line[0] == '[':
		return FormatAuto, r.notObject(line)
	case bytes.IndexByte(line, '\t') >= 0:
		return FormatTSV, nil
	default:
		return FormatChitchat, nil
	}
}

// formatOfObject recognizes a dialogue in JSON by its keys.
func formatOfObject(line []byte) Format {
	if len(line) == 0 || line[0] != '{' {
		return FormatAuto
	}
	var keys struct{ Turns, Messages json.RawMessage }
	if json.Unmarshal(line, &keys) != nil {
		return FormatAuto
	}
	switch {
	case keys.Messages != nil:
		return FormatOpenAI
	case keys.Turns != nil:
		return FormatTurns
	default:
		return FormatAuto
	}
}

// notObject says why a line is no JSON object with a dialogue.
func (r *Reader) notObject(line []byte) error {
	if len(line) > 0 && line[0] == '[' {
		return r.badLine("a JSON list: what is read is JSON Lines, one object on each line (jq -c '.[]' turns the one into the other)")
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(line, &object); err != nil {
		return r.badLine("%s", jsonReason(err))
	}
	return r.badLine(`neither the key "turns" nor "messages"`)
}
