package corpora

import (
	"context"
	"errors"
	"fmt"
	"io"

	"causerie/models/dialogue"
)

// ValidateOptions says what training data are to be checked against.
type ValidateOptions struct {
	// Read is how the files are read. Bad lines are always listed and never an
	// error of Validate itself.
	Read Options
	// Tokenizer and Template spell dialogues as the training will.
	Tokenizer Tokenizer
	Template  dialogue.Template
	// Encode is how they become windows: a dialogue that is longer than the
	// context is reported.
	Encode EncodeOptions
	// List is how many lines of each kind and file are listed; all are
	// counted. 0 means 20.
	List int
}

// EnsureDefaults fills the fields that may be left zero.
func (o *ValidateOptions) EnsureDefaults() {
	if o.List == 0 {
		o.List = 20
	}
	o.Read.SkipBad, o.Read.KeepBad = true, o.List
}

// Validate says which option makes no sense.
func (o ValidateOptions) Validate() error {
	if o.Tokenizer == nil || o.Template == nil {
		return errors.New("checking training data needs a tokenizer and a template")
	}
	return errors.Join(o.Read.Validate(), o.Encode.Validate())
}

// Findings is what Validate found.
type Findings struct {
	Train []FileFindings `json:"train"`
	Valid []FileFindings `json:"valid,omitempty"`
}

// FileFindings describes one file. Skipped and Bad are its bad lines.
type FileFindings struct {
	FileReport
	Weight      float64 `json:"weight"`                // in the mix
	Examples    int     `json:"examples"`              // windows that training makes of the dialogues
	Preferences int     `json:"preferences,omitempty"` // pairs of windows, where those are learnt from
	Rows        int     `json:"rows"`                  // tokens that the model reads in one pass
	Learnt      int     `json:"learnt"`                // tokens with a target that counts
	CutBytes    int     `json:"cut_bytes"`

	TooLong    Lines `json:"too_long,omitzero"`    // dialogues longer than the context: cut into windows
	Duplicated Lines `json:"duplicated,omitzero"`  // dialogues that an earlier line has, here or in a file before
	Unlearnt   Lines `json:"unlearnt,omitzero"`    // dialogues in which nothing counts
	Reversed   Lines `json:"reversed,omitzero"`    // preferences for a reply that an earlier line rejects in favour of the other
	Overlap    Lines `json:"overlap,omitzero"`     // of a validation file: dialogues that are learnt
	NoAnswer   Lines `json:"no_answer,omitzero"`   // dialogues without a turn of the assistant
	LongestRow int   `json:"longest_row,omitzero"` // tokens of the longest window
}

// Lines counts lines of a file and lists the numbers of the first.
type Lines struct {
	Count int   `json:"count"`
	First []int `json:"first,omitempty"`
}

func (l *Lines) add(number, list int) {
	l.Count++
	if len(l.First) < list {
		l.First = append(l.First, number)
	}
}

// Validate reads training and validation files through and finds what would
// stand in the way of training on them, or spoil its result, without training
// anything. Only what makes that impossible (no such file, a damaged archive)
// is an error; ask Findings.Err whether the data can be used.
//
// Paths of valid may be what ExpandPath takes.
func Validate(ctx context.Context, train []Source, valid []string, o ValidateOptions) (Findings, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return Findings{}, fmt.Errorf("corpus: %w", err)
	}
	if len(train) == 0 {
		return Findings{}, errors.New("corpus: no file is given")
	}
	var f Findings
	v := validator{o: o, learnt: map[contentKey]struct{}{}}
	for _, s := range train {
		found, err := v.file(ctx, s.Path, nil, v.learnt)
		if err != nil {
			return Findings{}, err
		}
		found.Weight = max(s.Weight, 0)
		if found.Weight == 0 {
			found.Weight = 1
		}
		f.Train = append(f.Train, found)
	}
	measured := map[contentKey]struct{}{}
	for _, path := range valid {
		files, err := ExpandPath(path)
		if err != nil {
			return Findings{}, err
		}
		for _, file := range files {
			found, err := v.file(ctx, file, v.learnt, measured)
			if err != nil {
				return Findings{}, err
			}
			f.Valid = append(f.Valid, found)
		}
	}
	return f, nil
}

// validator checks file after file.
type validator struct {
	o      ValidateOptions
	learnt map[contentKey]struct{} // dialogues of the training files
	ids    []int32
	buf    []byte
}

// file checks one file. Dialogues that are in other are its overlap, those in
// seen, which grows, its duplicates.
func (v *validator) file(ctx context.Context, path string, other, seen map[contentKey]struct{}) (f FileFindings, err error) {
	r, err := Open(path, v.o.Read)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	m := newMeasure()
	e := newEncoder(v.o.Tokenizer, v.o.Template, v.o.Encode)
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return f, err
		}
		line := r.Line()
		v.ids = spellOut(v.ids[:0], v.o.Template, d)
		tokens := len(v.ids)
		var key contentKey
		key, v.buf = keyOf(d, v.buf)
		if v.o.Encode.Preferences && d.Rejected != "" {
			v.ids = spellOut(v.ids[:0], v.o.Template, d.reversed())
		}
		m.add(d, key, tokens)
		v.windows(&f, e, d, line, max(tokens, len(v.ids)))
		if _, ok := other[key]; ok {
			f.Overlap.add(line, v.o.List)
		}
		if _, ok := seen[key]; ok {
			f.Duplicated.add(line, v.o.List)
		}
		if d.Rejected != "" {
			var reversed contentKey
			reversed, v.buf = keyOf(d.reversed(), v.buf)
			if _, ok := seen[reversed]; ok {
				f.Reversed.add(line, v.o.List)
			}
		}
		seen[key] = struct{}{}
	}
	f.FileReport = m.finish()
	f.Path, f.Format, f.Compression = path, r.Format(), r.Compression()
	f.Skipped, f.Bad, f.CutBytes = r.Skipped(), r.Bad(), e.cutBytes
	return f, ctx.Err()
}

// windows counts what a dialogue of so many tokens becomes.
func (v *validator) windows(f *FileFindings, e *encoder, d Dialogue, line, tokens int) {
	if context := v.o.Encode.Context; context > 0 && tokens-1 > context {
		f.TooLong.add(line, v.o.List)
	}
	answered := false
	for _, t := range d.Turns {
		answered = answered || t.Role == dialogue.RoleAssistant
	}
	if !answered {
		f.NoAnswer.add(line, v.o.List)
	}
	before := f.Examples
	e.encode(d, func(w *window) {
		f.Examples++
		f.Rows += len(w.ids) - 1
		f.LongestRow = max(f.LongestRow, len(w.ids)-1)
		for _, weight := range w.weights[1:] {
			if weight != 0 {
				f.Learnt++
			}
		}
	})
	if f.Examples == before {
		f.Unlearnt.add(line, v.o.List)
	} else if v.o.Encode.Preferences {
		f.Preferences++
	}
}

// BadLines is the number of lines that hold no dialogue, in all files.
func (f Findings) BadLines() (n int) {
	for _, files := range [][]FileFindings{f.Train, f.Valid} {
		for _, file := range files {
			n += file.Skipped
		}
	}
	return n
}

// Err says why training on the data is impossible: bad lines (unless they are
// to be skipped), or a file without anything to learn; nil when it is not. Its
// message names the first of the bad lines.
func (f Findings) Err(skipBad bool) error {
	var errs []error
	for _, files := range [][]FileFindings{f.Train, f.Valid} {
		for _, file := range files {
			if file.Skipped > 0 && !skipBad {
				errs = append(errs, badLines(file))
			} else if file.Examples == 0 {
				errs = append(errs, fmt.Errorf("corpus %s: nothing to learn in it (dialogues: %d, bad lines: %d)", file.Path, file.Dialogues, file.Skipped))
			}
		}
	}
	return errors.Join(errs...)
}

func badLines(f FileFindings) error {
	if len(f.Bad) == 0 {
		return fmt.Errorf("corpus %s: %d bad lines", f.Path, f.Skipped)
	}
	if f.Skipped == 1 {
		return f.Bad[0]
	}
	return fmt.Errorf("%w (and %d more bad lines)", f.Bad[0], f.Skipped-1)
}

// Rows is the number of tokens that the model reads in one pass over the
// weighted training data.
func (f Findings) Rows() float64 {
	sum := 0.0
	for _, file := range f.Train {
		sum += float64(file.Rows) * file.Weight
	}
	return sum
}
