package corpora

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"causerie/models/dialogue"
)

// LoadOptions says how the files of a Dataset are read and encoded.
type LoadOptions struct {
	Read   Options
	Encode EncodeOptions
	// Keep, if not nil, says which dialogues are taken. A file of which none
	// is left is then no error as long as another one has some.
	Keep func(Dialogue) bool
}

// Dataset is a set of encoded corpora in compact memory: five bytes a token.
// It does not change after Load and is safe for concurrent use. Train from a
// Stream of it; measure over Batches.
type Dataset struct {
	sources []*source
	levels  []float32 // the different weights of targets; levels[0] is 0
	context int
	sum     func() string
}

// SourceInfo says what Load made of one file.
type SourceInfo struct {
	Path      string     `json:"path"`
	Weight    float64    `json:"weight"` // times its natural share
	Dialogues int        `json:"dialogues"`
	Examples  int        `json:"examples"`
	Tokens    int        `json:"tokens"`     // rows that the model reads in one pass
	Learnt    int        `json:"learnt"`     // of them with a target that counts
	TextBytes int        `json:"text_bytes"` // see Example.TextBytes
	CutBytes  int        `json:"cut_bytes"`  // of text left out because a turn is longer than the context
	Skipped   int        `json:"skipped"`    // bad lines
	Bad       []*BadLine `json:"bad,omitempty"`
}

// source holds the examples of one file, one after the other.
type source struct {
	info   SourceInfo
	ids    []int32
	marks  []uint8 // of ids[i] as a target: bit 0 text, the others index levels
	starts []int   // example i is ids[starts[i]:starts[i+1]], one id longer than its rows
	bytes  []int32 // TextBytes of example i
	pairs  bool    // examples 2u and 2u+1 go together
	first  int     // Batch.Index of example 0
}

func (s *source) examples() int { return len(s.bytes) }

// units is the number of what is drawn and put into batches whole: pairs of
// examples, or single ones.
func (s *source) units() int {
	if s.pairs {
		return len(s.bytes) / 2
	}
	return len(s.bytes)
}

// unit returns the examples of unit u, from first to before end.
func (s *source) unit(u int) (first, end int) {
	if s.pairs {
		return 2 * u, 2*u + 2
	}
	return u, u + 1
}

// rows is the number of tokens that the model reads for unit u.
func (s *source) rows(u int) int {
	first, end := s.unit(u)
	return s.starts[end] - s.starts[first] - (end - first)
}

// Load reads and encodes the sources. They are read concurrently, so the
// tokenizer and the template must be safe for concurrent use; the result does
// not depend on it. A source without a dialogue to learn from is an error.
func Load(ctx context.Context, t Tokenizer, tpl dialogue.Template, sources []Source, o LoadOptions) (*Dataset, error) {
	if len(sources) == 0 {
		return nil, errors.New("corpus: no file is given")
	}
	if err := o.Encode.Validate(); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	d := &Dataset{sources: make([]*source, len(sources)), levels: []float32{0, 1}, context: o.Encode.Context}
	var mu sync.Mutex // guards d.levels
	level := func(weight float32) (uint8, error) {
		mu.Lock()
		defer mu.Unlock()
		i := slices.Index(d.levels, weight)
		if i < 0 {
			i = len(d.levels)
			d.levels = append(d.levels, weight)
		}
		if i >= 128 {
			return 0, errors.New("more than 127 different weights of turns")
		}
		return uint8(i), nil
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, src := range sources {
		group.Go(func() (err error) {
			l := loader{keep: o.Keep, encoder: newEncoder(t, tpl, o.Encode), level: level, known: map[float32]uint8{0: 0, 1: 1}}
			d.sources[i], err = l.load(ctx, src, o.Read)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	d.sources = slices.DeleteFunc(d.sources, func(s *source) bool { return s.info.Examples == 0 })
	if len(d.sources) == 0 {
		return nil, errors.New("corpus: no dialogue is left")
	}
	first := 0
	for _, s := range d.sources {
		s.first = first
		first += s.examples()
	}
	d.sum = sync.OnceValue(d.fingerprint)
	return d, nil
}

// loader fills a source.
type loader struct {
	keep    func(Dialogue) bool // nil: all
	encoder *encoder
	level   func(float32) (uint8, error)
	known   map[float32]uint8
	out     *source
	err     error
}

func (l *loader) load(ctx context.Context, src Source, o Options) (_ *source, err error) {
	if src.Weight == 0 {
		src.Weight = 1
	}
	if !(src.Weight > 0) || math.IsInf(src.Weight, 0) {
		return nil, fmt.Errorf("corpus %s: the weight %v must be a positive number", src.Path, src.Weight)
	}
	r, err := Open(src.Path, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	l.out = &source{info: SourceInfo{Path: src.Path, Weight: src.Weight}, starts: []int{0}, pairs: l.encoder.pairs}
	taken := 0
	for ctx.Err() == nil {
		d, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if l.keep != nil && !l.keep(d) {
			continue
		}
		if l.encoder.pairs && d.Rejected == "" {
			return nil, fmt.Errorf("corpus %s: dialogue %s is no preference: nothing says which reply would be worse", src.Path, d.ID)
		}
		taken++
		l.encoder.encode(d, l.add)
		if l.err != nil {
			return nil, fmt.Errorf("corpus %s: dialogue %s: %w", src.Path, d.ID, l.err)
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info := &l.out.info
	info.Dialogues, info.Examples = taken, l.out.examples()
	info.Tokens = len(l.out.ids) - info.Examples
	info.CutBytes = l.encoder.cutBytes
	info.Skipped, info.Bad = r.Skipped(), r.Bad()
	if info.Examples == 0 && (l.keep == nil || taken > 0) {
		return nil, fmt.Errorf("corpus %s: nothing to learn in it (dialogues: %d, bad lines: %d)", src.Path, info.Dialogues, info.Skipped)
	}
	return l.out, nil
}

// add appends a window.
func (l *loader) add(w *window) {
	out := l.out
	for i, id := range w.ids {
		mark, ok := l.known[w.weights[i]]
		if !ok {
			var err error
			if mark, err = l.level(w.weights[i]); err != nil {
				l.err = err
				return
			}
			l.known[w.weights[i]] = mark
		}
		if mark > 0 && i > 0 {
			out.info.Learnt++
		}
		mark <<= 1
		if w.text[i] {
			mark |= 1
		}
		out.ids = append(out.ids, id)
		out.marks = append(out.marks, mark)
	}
	out.starts = append(out.starts, len(out.ids))
	out.bytes = append(out.bytes, int32(min(w.textBytes, math.MaxInt32)))
	out.info.TextBytes += w.textBytes
}

// Sources says what is in the dataset, file by file in the order of Load.
func (d *Dataset) Sources() []SourceInfo {
	infos := make([]SourceInfo, len(d.sources))
	for i, s := range d.sources {
		infos[i] = s.info
	}
	return infos
}

// Total adds Sources up. Its path is empty, its weight 1.
func (d *Dataset) Total() SourceInfo {
	total := SourceInfo{Weight: 1}
	for _, s := range d.sources {
		total.Dialogues += s.info.Dialogues
		total.Examples += s.info.Examples
		total.Tokens += s.info.Tokens
		total.Learnt += s.info.Learnt
		total.TextBytes += s.info.TextBytes
		total.CutBytes += s.info.CutBytes
		total.Skipped += s.info.Skipped
	}
	return total
}

// Longest is the number of rows of the longest example, or pair of them: the
// smallest budget that Stream accepts.
func (d *Dataset) Longest() int {
	longest := 0
	for _, s := range d.sources {
		for u := range s.units() {
			longest = max(longest, s.rows(u))
		}
	}
	return longest
}

// Fingerprint is a short name for exactly this content and this mix: two
// datasets that have it in common give the same batches.
func (d *Dataset) Fingerprint() string { return d.sum() }

func (d *Dataset) fingerprint() string {
	h := sha256.New()
	buf := make([]byte, 0, 64<<10)
	flush := func(full bool) {
		if !full || len(buf) > 60<<10 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	number := func(n uint64) {
		buf = binary.LittleEndian.AppendUint64(buf, n)
		flush(true)
	}
	for _, s := range d.sources {
		number(math.Float64bits(s.info.Weight))
		number(uint64(s.examples()))
		for _, start := range s.starts {
			number(uint64(start))
		}
		for _, id := range s.ids {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
			flush(true)
		}
		for _, mark := range s.marks {
			number(uint64(math.Float32bits(d.levels[mark>>1]))<<1 | uint64(mark&1))
		}
	}
	flush(false)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
