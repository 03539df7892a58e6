package corpora

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
)

// formatJSON stands for any JSON format, as long as the keys are not known.
const formatJSON Format = "json"

// formatOfName tells what a file's extension promises: formatJSON,
// FormatChitchat, FormatTSV, or FormatAuto when it promises nothing.
func formatOfName(name string) Format {
	switch filepath.Ext(trimCompression(name)) {
	case ".jsonl", ".ndjson", ".json":
		return formatJSON
	case ".txt", ".text":
		return FormatChitchat
	case ".tsv", ".tab":
		return FormatTSV
	default:
		return FormatAuto
	}
}

// trimCompression drops the extension that tells the compression, and makes the
// rest small letters.
func trimCompression(name string) string {
	name = strings.ToLower(name)
	for _, ext := range []string{".gz", ".zst", ".zstd"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

// detect finds the format out from the first line that is not empty and from
// the file's name.
func (r *Reader) detect(line []byte) (Format, error) {
	line = bytes.TrimSpace(line)
	// Whatever the name says: an object with our keys is nobody's small talk.
	if format := formatOfObject(line); format != FormatAuto {
		return format, nil
	}
	format := formatOfName(r.name)
	if format == FormatAuto {
		switch {
		case strings.HasSuffix(trimCompression(r.name), ".csv"):
			return FormatAuto, r.badLine("values separated by commas are not read: put tabs between the columns (%s)", FormatTSV)
		case line[0] == '{' || line[0] == '[':
			format = formatJSON
		case bytes.IndexByte(line, '\t') >= 0:
			format = FormatTSV
		default:
			format = FormatChitchat
		}
	}
	if format == formatJSON {
		return FormatAuto, r.notObject(line)
	}
	return format, nil
}

// formatOfObject recognizes a dialogue in JSON by its keys.
func formatOfObject(line []byte) Format {
	if len(line) == 0 || line[0] != '{' {
		return FormatAuto
	}
	var keys struct {
		Turns, Messages json.RawMessage
		Preferred       json.RawMessage `json:"preferred_output"`
		Rejected        json.RawMessage `json:"non_preferred_output"`
	}
	if json.Unmarshal(line, &keys) != nil {
		return FormatAuto
	}
	switch {
	case keys.Preferred != nil || keys.Rejected != nil:
		return FormatPreferences
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
	return r.badLine(`none of the keys "turns", "messages" and "preferred_output"`)
}
