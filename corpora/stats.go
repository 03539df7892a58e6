package corpora

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"unicode/utf8"

	"causerie/models/dialogue"
)

// MeasureOptions says how Measure reads, and whether it counts tokens.
type MeasureOptions struct {
	Read Options
	// Template counts tokens as training sees them, markers included. Without
	// one Measure counts none.
	Template dialogue.Template
}

// Report is what Measure found.
type Report struct {
	Files  []FileReport `json:"files"`
	Total  FileReport   `json:"total"`
	Shared []Shared     `json:"shared"` // pairs of files with dialogues in common
}

// FileReport describes a corpus. Everything is counted over its good lines.
type FileReport struct {
	Path        string         `json:"path,omitempty"`
	Format      Format         `json:"format,omitempty"`
	Compression Compression    `json:"compression,omitempty"`
	Dialogues   int            `json:"dialogues"`
	Turns       int            `json:"turns"`
	Bytes       int            `json:"bytes"` // of text, in UTF-8
	Runes       int            `json:"runes"` // of text
	Tokens      int            `json:"tokens,omitempty"`
	Languages   map[string]int `json:"languages"` // dialogues by language; "" is one that the file does not name
	// Lengths of dialogues in turns, of turns in runes and, when tokens are
	// counted, of dialogues in tokens.
	DialogueTurns  Lengths    `json:"dialogue_turns"`
	TurnRunes      Lengths    `json:"turn_runes"`
	DialogueTokens Lengths    `json:"dialogue_tokens,omitzero"`
	Duplicates     int        `json:"duplicates"` // dialogues that repeat an earlier one word for word
	Skipped        int        `json:"skipped"`    // bad lines
	Bad            []*BadLine `json:"bad,omitempty"`
}

// Shared counts the dialogues of file B that file A has as well.
type Shared struct {
	A         string `json:"a"`
	B         string `json:"b"`
	Dialogues int    `json:"dialogues"`
}

// Lengths sums up a list of lengths. P50 is the median: half of the lengths are
// no greater.
type Lengths struct {
	Mean float64 `json:"mean"`
	Min  int     `json:"min"`
	P10  int     `json:"p10"`
	P50  int     `json:"p50"`
	P90  int     `json:"p90"`
	P99  int     `json:"p99"`
	Max  int     `json:"max"`
}

// lengthsOf sums lengths up; it sorts them. The percentiles are those of the
// nearest rank.
func lengthsOf(lengths []int32) Lengths {
	if len(lengths) == 0 {
		return Lengths{}
	}
	slices.Sort(lengths)
	sum := 0
	for _, n := range lengths {
		sum += int(n)
	}
	rank := func(percent int) int { return int(lengths[(percent*len(lengths)+99)/100-1]) }
	return Lengths{
		Mean: float64(sum) / float64(len(lengths)),
		Min:  int(lengths[0]), P10: rank(10), P50: rank(50), P90: rank(90), P99: rank(99),
		Max: int(lengths[len(lengths)-1]),
	}
}

// contentKey stands for who says what in a dialogue, and what is rejected.
type contentKey [16]byte

func keyOf(d Dialogue, buf []byte) (contentKey, []byte) {
	buf = buf[:0]
	for _, t := range d.Turns {
		buf = append(append(append(append(buf, t.Role...), 0), t.Text...), 0)
	}
	if d.Rejected != "" {
		buf = append(append(buf, "rejected\x00"...), d.Rejected...)
	}
	sum := sha256.Sum256(buf)
	return contentKey(sum[:16]), buf
}

// measure counts one file, or all of them.
type measure struct {
	report FileReport
	turns  []int32 // lengths
	runes  []int32
	tokens []int32
	seen   map[contentKey]struct{}
}

func newMeasure() *measure {
	return &measure{
		report: FileReport{Languages: map[string]int{}},
		seen:   map[contentKey]struct{}{},
	}
}

func (m *measure) add(d Dialogue, key contentKey, tokens int) {
	r := &m.report
	r.Dialogues++
	r.Turns += len(d.Turns)
	r.Tokens += tokens
	r.Languages[d.Lang]++
	m.turns = append(m.turns, int32(len(d.Turns)))
	for _, t := range d.Turns {
		n := utf8.RuneCountInString(t.Text)
		r.Runes += n
		r.Bytes += len(t.Text)
		m.runes = append(m.runes, int32(n))
	}
	if tokens > 0 {
		m.tokens = append(m.tokens, int32(tokens))
	}
	if _, ok := m.seen[key]; ok {
		r.Duplicates++
	}
	m.seen[key] = struct{}{}
}

func (m *measure) finish() FileReport {
	m.report.DialogueTurns = lengthsOf(m.turns)
	m.report.TurnRunes = lengthsOf(m.runes)
	m.report.DialogueTokens = lengthsOf(m.tokens)
	return m.report
}

// Measure reads files through and tells what is in them. Paths may be what
// ExpandPath takes.
func Measure(ctx context.Context, paths []string, o MeasureOptions) (Report, error) {
	if len(paths) == 0 {
		return Report{}, errors.New("corpus: no file is given")
	}
	var files []string
	for _, path := range paths {
		expanded, err := ExpandPath(path)
		if err != nil {
			return Report{}, err
		}
		files = append(files, expanded...)
	}
	report := Report{Shared: []Shared{}}
	total := newMeasure()
	var earlier []*measure
	for _, path := range files {
		m := newMeasure()
		common := make([]int, len(earlier))
		if err := measureFile(ctx, path, o, m, total, earlier, common); err != nil {
			return Report{}, err
		}
		for i, n := range common {
			if n > 0 {
				report.Shared = append(report.Shared, Shared{A: earlier[i].report.Path, B: path, Dialogues: n})
			}
		}
		total.report.Skipped += m.report.Skipped
		report.Files = append(report.Files, m.finish())
		earlier = append(earlier, m)
	}
	report.Total = total.finish()
	return report, nil
}

func measureFile(ctx context.Context, path string, o MeasureOptions, m, total *measure, earlier []*measure, common []int) (err error) {
	r, err := Open(path, o.Read)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	m.report.Path = path
	var (
		ids []int32
		buf []byte
		key contentKey
	)
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if o.Template != nil {
			ids = spellOut(ids[:0], o.Template, d)
		}
		key, buf = keyOf(d, buf)
		for i, e := range earlier {
			if _, ok := e.seen[key]; ok {
				common[i]++
			}
		}
		m.add(d, key, len(ids))
		total.add(d, key, len(ids))
	}
	m.report.Format, m.report.Compression = r.Format(), r.Compression()
	m.report.Skipped, m.report.Bad = r.Skipped(), r.Bad()
	return ctx.Err()
}

// spellOut appends a whole dialogue as training spells it, uncut.
func spellOut(ids []int32, tpl dialogue.Template, d Dialogue) []int32 {
	ids = tpl.Begin(ids)
	for _, t := range d.Turns {
		ids = tpl.AppendTurn(ids, t)
	}
	return tpl.End(ids)
}
