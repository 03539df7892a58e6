package corpora

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"causerie/corpora/starter"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Starter is the path that stands for the files of the bundled starter corpus.
const Starter = "starter"

// StarterPrefix marks the paths of the bundled starter corpus, "starter:en.jsonl"
// and the like. See StarterPaths.
const StarterPrefix = Starter + ":"

// Reader reads the dialogues of one file, one after the other, without ever
// holding more of it than one. It is not safe for concurrent use.
type Reader struct {
	name        string // in errors
	base        string // in ids
	opts        Options
	format      Format
	compression Compression
	lines       *lineReader
	closers     []io.Closer
	dialogues   int
	skipped     int
	kept        []*BadLine
	err         error // what ended the reading
}

// Open opens a corpus: a path, "-" for standard input, or a path of the bundled
// starter corpus. Its format is found out when the options do not name it.
// The caller closes the Reader.
func Open(path string, o Options) (*Reader, error) {
	if path == Stdin {
		return NewReader("stdin", os.Stdin, o)
	}
	var (
		f   io.ReadCloser
		err error
	)
	if name, ok := strings.CutPrefix(path, StarterPrefix); ok {
		f, err = starter.Files.Open(name)
	} else {
		f, err = os.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	r, err := NewReader(path, f, o)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r.closers = append(r.closers, f)
	return r, nil
}

// NewReader reads a corpus from src. The name appears in errors, and its
// extension says which format to expect. Closing the Reader does not close src.
func NewReader(name string, src io.Reader, o Options) (*Reader, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("corpus %s: %w", name, err)
	}
	plain, compression, closer, err := decompress(src)
	if err != nil {
		return nil, fmt.Errorf("corpus %s: %w", name, err)
	}
	r := &Reader{
		name:        name,
		base:        filepath.Base(strings.TrimPrefix(name, StarterPrefix)),
		opts:        o,
		format:      o.Format,
		compression: compression,
		lines:       newLineReader(plain, o.MaxLine),
	}
	if closer != nil {
		r.closers = append(r.closers, closer)
	}
	return r, nil
}

// Close releases the file. It may be called more than once.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	r.closers = nil
	if r.err == nil {
		r.err = fmt.Errorf("corpus %s: read after Close", r.name)
	}
	return errors.Join(errs...)
}

// Format is the format of the file; FormatAuto until the first line was read.
func (r *Reader) Format() Format { return r.format }

// Compression is the compression of the file.
func (r *Reader) Compression() Compression { return r.compression }

// Dialogues is the number of dialogues that Next has returned.
func (r *Reader) Dialogues() int { return r.dialogues }

// Line is the number of lines read so far.
func (r *Reader) Line() int { return r.lines.number }

// Skipped is the number of bad lines that were passed over (Options.SkipBad).
func (r *Reader) Skipped() int { return r.skipped }

// Bad returns the first of the skipped lines, Options.KeepBad at most.
func (r *Reader) Bad() []*BadLine { return r.kept }

// Next returns the next dialogue, and io.EOF after the last. A *BadLine error
// concerns one line: Next may be called again and goes on after it. Any other
// error is final.
func (r *Reader) Next() (Dialogue, error) {
	for r.err == nil {
		d, err := r.next()
		var bad *BadLine
		switch {
		case err == nil:
			r.dialogues++
			if d.ID == "" {
				d.ID = fmt.Sprintf("%s:%d", r.base, r.lines.number)
			}
			return d, nil
		case !errors.As(err, &bad):
			r.err = err
		case !r.opts.SkipBad:
			return Dialogue{}, err
		default:
			r.skipped++
			if len(r.kept) < r.opts.KeepBad {
				r.kept = append(r.kept, bad)
			}
		}
	}
	return Dialogue{}, r.err
}

// All yields what Next returns, up to the end of the file or the first error
// that is final.
func (r *Reader) All() iter.Seq2[Dialogue, error] {
	return func(yield func(Dialogue, error) bool) {
		for {
			d, err := r.Next()
			if err == io.EOF || !yield(d, err) || r.err != nil {
				return
			}
		}
	}
}

// next reads one dialogue in the file's format.
func (r *Reader) next() (Dialogue, error) {
	line, err := r.line()
	for err == nil && len(bytes.TrimSpace(line)) == 0 {
		line, err = r.line()
	}
	if err != nil {
		return Dialogue{}, r.afterBad(err)
	}
	if r.format == FormatAuto {
		if r.format, err = r.detect(line); err != nil {
			return Dialogue{}, err
		}
	}
	switch r.format {
	case FormatChitchat:
		return r.chitchat(line)
	case FormatTSV:
		return r.tsv(line)
	default:
		return r.json(line)
	}
}

// line reads a line that is text. It returns io.EOF, a *BadLine, or an error
// that is final. The line is valid until the next call.
func (r *Reader) line() ([]byte, error) {
	line, err := r.lines.next()
	switch {
	case err == io.EOF:
		return nil, io.EOF
	case errors.Is(err, errLineTooLong):
		return nil, r.badLine("longer than %d bytes", r.opts.MaxLine)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, fmt.Errorf("corpus %s: after line %d: the %s data is cut short: %w", r.name, r.lines.number, r.compression, err)
	case err != nil:
		return nil, fmt.Errorf("corpus %s: after line %d: %w", r.name, r.lines.number, err)
	case bytes.HasPrefix(line, []byte("\xff\xfe")) || bytes.HasPrefix(line, []byte("\xfe\xff")):
		if r.lines.number == 1 {
			return nil, fmt.Errorf("corpus %s: the text is UTF-16; save it as UTF-8", r.name)
		}
	}
	if i := invalidUTF8(line); i >= 0 {
		return nil, r.badLine("byte %d is not UTF-8", i+1)
	}
	if i := bytes.IndexByte(line, 0); i >= 0 {
		return nil, r.badLine("byte %d is NUL, so this is no text", i+1)
	}
	return line, nil
}

// badLine is the error for the line read last.
func (r *Reader) badLine(format string, args ...any) error {
	return &BadLine{File: r.name, Line: r.lines.number, Reason: fmt.Sprintf(format, args...)}
}

// invalidUTF8 returns the index of the first byte that is not UTF-8, or -1.
func invalidUTF8(b []byte) int {
	if utf8.Valid(b) {
		return -1
	}
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}
