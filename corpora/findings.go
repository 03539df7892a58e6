package corpora

import (
	"fmt"
	"io"
	"strings"
)

// WriteText writes the findings for people: a line of figures for each file,
// then every problem with the numbers of its lines.
func (f Findings) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, file := range f.Train {
		file.write(&b, "learn")
	}
	for _, file := range f.Valid {
		file.write(&b, "validate")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (f FileFindings) write(b *strings.Builder, use string) {
	what, tokens, long := "dialogues", f.Tokens, "longer than the context, cut into windows"
	if f.Preferences > 0 {
		what, tokens, long = "preferences", f.Rows, "longer than the context, so without the oldest turns or shortened"
	}
	fmt.Fprintf(b, "%s %s: %d %s, %d turns, %d tokens (%d to learn)", use, f.Path, f.Dialogues, what, f.Turns, tokens, f.Learnt)
	if f.Dialogues > 0 {
		fmt.Fprintf(b, "; tokens of a dialogue: median %d, longest %d", f.DialogueTokens.P50, f.DialogueTokens.Max)
	}
	b.WriteByte('\n')
	if f.Skipped > 0 {
		fmt.Fprintf(b, "  %s:\n", count(f.Skipped, "bad line"))
		for _, bad := range f.Bad {
			fmt.Fprintf(b, "    line %d: %s\n", bad.Line, bad.Reason)
		}
		if more := f.Skipped - len(f.Bad); more > 0 {
			fmt.Fprintf(b, "    and %d more\n", more)
		}
	}
	f.Overlap.write(b, "also in the training data, so the validation loss will flatter")
	f.Duplicated.write(b, "there before, word for word")
	f.Reversed.write(b, "contradicting an earlier line, which prefers the other reply")
	f.TooLong.write(b, long)
	f.NoAnswer.write(b, "without a turn of the assistant")
	f.Unlearnt.write(b, "with nothing to learn")
	if f.CutBytes > 0 {
		fmt.Fprintf(b, "  %d bytes of text are left out, in turns longer than the context\n", f.CutBytes)
	}
}

// write tells what is the matter with some dialogues.
func (l Lines) write(b *strings.Builder, what string) {
	if l.Count == 0 {
		return
	}
	fmt.Fprintf(b, "  %s %s: line", count(l.Count, "dialogue"), what)
	if len(l.First) > 1 {
		b.WriteByte('s')
	}
	for i, n := range l.First {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, " %d", n)
	}
	if l.Count > len(l.First) {
		b.WriteString(" …")
	}
	b.WriteByte('\n')
}

// count writes a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
