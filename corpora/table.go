package corpora

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// WriteTable writes the report for people.
func (r Report) WriteTable(w io.Writer) error {
	tokens := r.Total.Tokens > 0
	head := []string{"dialogues", "turns", "bytes", "runes"}
	if tokens {
		head = append(head, "tokens", "bytes/token")
	}
	head = append(head, "turns/dialogue", "runes/turn")
	if tokens {
		head = append(head, "tokens/dialogue")
	}
	rows := [][]string{append(head, "duplicates", "bad", "languages", "format", "file")}
	for _, f := range r.Files {
		rows = append(rows, f.cells(tokens))
	}
	if len(r.Files) > 1 {
		rows = append(rows, r.Total.cells(tokens))
	}
	var b strings.Builder
	writeColumns(&b, rows, len(head)+2)
	r.writeNotes(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// writeColumns aligns the first columns, which are numbers, to the right and the
// others to the left.
func writeColumns(b *strings.Builder, rows [][]string, numbers int) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			switch {
			case i < numbers:
				fmt.Fprintf(b, "%*s  ", widths[i], cell)
			case i < len(row)-1:
				fmt.Fprintf(b, "%-*s  ", widths[i], cell)
			default:
				b.WriteString(cell + "\n")
			}
		}
	}
}

// cells are the columns of WriteTable's head.
func (f FileReport) cells(tokens bool) []string {
	number := func(n int) string { return fmt.Sprint(n) }
	cells := []string{number(f.Dialogues), number(f.Turns), number(f.Bytes), number(f.Runes)}
	if tokens {
		cells = append(cells, number(f.Tokens), fmt.Sprintf("%.2f", float64(f.Bytes)/float64(max(1, f.Tokens))))
	}
	cells = append(cells, f.DialogueTurns.String(), f.TurnRunes.String())
	if tokens {
		cells = append(cells, f.DialogueTokens.String())
	}
	languages := make([]string, 0, len(f.Languages))
	for _, lang := range slices.Sorted(maps.Keys(f.Languages)) {
		name := lang
		if name == "" {
			name = "?"
		}
		languages = append(languages, fmt.Sprintf("%s:%d", name, f.Languages[lang]))
	}
	format, path := string(f.Format), f.Path
	if f.Compression != "" && f.Compression != Plain {
		format += "." + string(f.Compression)
	}
	if path == "" {
		path = "all"
	}
	return append(cells, number(f.Duplicates), number(f.Skipped), strings.Join(languages, " "), format, path)
}

// String gives the median, the 90th percentile and the maximum.
func (l Lengths) String() string { return fmt.Sprintf("%d/%d/%d", l.P50, l.P90, l.Max) }

// writeNotes writes what a table has no room for.
func (r Report) writeNotes(b *strings.Builder) {
	b.WriteString("\nThree lengths are the median, the 90th percentile and the maximum.\n")
	for _, s := range r.Shared {
		fmt.Fprintf(b, "Dialogues of %s that %s has too: %d\n", s.B, s.A, s.Dialogues)
	}
	for _, f := range r.Files {
		if f.Skipped == 0 {
			continue
		}
		fmt.Fprintf(b, "Bad lines skipped in %s: %d\n", f.Path, f.Skipped)
		for _, bad := range f.Bad {
			fmt.Fprintf(b, "  %v\n", bad)
		}
		if more := f.Skipped - len(f.Bad); more > 0 && len(f.Bad) > 0 {
			fmt.Fprintf(b, "  and more: %d\n", more)
		}
	}
}
