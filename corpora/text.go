package corpora

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// chitchat reads a paragraph, each line of which is a turn; first is its first
// line. When a line in it is bad the whole paragraph is.
func (r *Reader) chitchat(first []byte) (Dialogue, error) {
	texts := []string{turnOfLine(first)}
	id := fmt.Sprintf("%s:%d", r.base, r.lines.number)
	size := len(first)
	var bad error
	for {
		line, err := r.line()
		var badLine *BadLine
		switch {
		case errors.As(err, &badLine):
			if bad == nil {
				bad = err
			}
			continue
		case err != nil && err != io.EOF:
			return Dialogue{}, err
		case err == nil && len(bytes.TrimSpace(line)) > 0:
			// A book is no dialogue, and need not fit into memory.
			if size += len(line); size > r.opts.MaxLine {
				texts = texts[:0]
				if bad == nil {
					bad = r.badLine("a dialogue of more than %d bytes: an empty line belongs between dialogues", r.opts.MaxLine)
				}
				continue
			}
			texts = append(texts, turnOfLine(line))
			continue
		case err == io.EOF:
			r.err = io.EOF // a terminal would have to be told twice
		}
		break
	}
	if bad != nil {
		return Dialogue{}, bad
	}
	turns, err := alternating(texts, "lines")
	return Dialogue{ID: id, Turns: turns}, err
}

// afterBad is called when not even the first line of a dialogue could be read.
// In a chitchat text the rest of its paragraph belongs to the bad line.
func (r *Reader) afterBad(err error) error {
	var bad *BadLine
	format := r.format
	if format == FormatAuto {
		format = formatOfName(r.name)
	}
	if format != FormatChitchat || !errors.As(err, &bad) {
		return err
	}
	if _, err := r.chitchat([]byte("?")); err != nil && !errors.As(err, new(*BadLine)) {
		return err
	}
	return bad
}

// turnOfLine drops the blanks around a line: nobody sees them there, so nobody
// can have meant them.
func turnOfLine(line []byte) string { return strings.TrimSpace(string(line)) }

// tsv reads a line whose columns are the turns.
func (r *Reader) tsv(line []byte) (Dialogue, error) {
	columns := strings.Split(string(line), "\t")
	if len(columns) < 2 {
		return Dialogue{}, r.badLine("one column only: the turns of a dialogue stand in two or more, with tabs between them")
	}
	for i, c := range columns {
		if columns[i] = strings.TrimSpace(c); columns[i] == "" {
			return Dialogue{}, r.badLine("column %d is empty", i+1)
		}
	}
	turns, err := alternating(columns, "columns")
	return Dialogue{Turns: turns}, err
}
