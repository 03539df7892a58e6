package corpora

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
)

// corpusFile writes a corpus of n dialogues, each of which can be told from all
// others by its first turn: the letter and its number.
func corpusFile(t testing.TB, letter string, n int) string {
	t.Helper()
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"turns":["%s%d","%s"]}`+"\n", letter, i, strings.Repeat("x", i%17+1))
	}
	return writeFile(t, letter+".jsonl", []byte(b.String()))
}

func load(t testing.TB, o LoadOptions, sources ...Source) *Dataset {
	t.Helper()
	d, err := Load(context.Background(), markerTokens, dialogue.ForTokenizer(markerTokens), sources, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// firstTurn names an example of corpusFile.
func firstTurn(e Example) string {
	end := slices.Index(e.Tokens, 260)
	var b strings.Builder
	for _, id := range e.Tokens[1:end] {
		b.WriteByte(byte(id))
	}
	return b.String()
}

func names(b *Batch) (out []string) {
	for _, e := range b.Examples {
		out = append(out, firstTurn(e))
	}
	return out
}

// TestLoad: what a dataset gives back is what Encode gives.
func TestLoad(t *testing.T) {
	content := sameDialogues[FormatOpenAI] + `{"messages":[{"role":"system","content":"s"},{"role":"user","content":"quite long"},` +
		`{"role":"assistant","content":"bad","weight":0},{"role":"user","content":"and more"},{"role":"assistant","content":"good"}]}` + "\n{}\n"
	path := writeFile(t, "x.jsonl.gz", gzipped(t, []byte(content)))
	for _, loss := range []Loss{LossAll, LossReplies} {
		o := LoadOptions{Read: Options{SkipBad: true}, Encode: EncodeOptions{Context: 30, Loss: loss}}
		d := load(t, o, Source{Path: path})
		var want, got []Example
		r, err := Open(path, o.Read)
		if err != nil {
			t.Fatal(err)
		}
		for dlg, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, Encode(markerTokens, dialogue.ForTokenizer(markerTokens), dlg, o.Encode)...)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		info := SourceInfo{Path: path, Weight: 1, Dialogues: 3, Examples: len(want), Skipped: 1, Bad: r.Bad()}
		for _, e := range want {
			info.Tokens += len(e.Tokens)
			info.TextBytes += e.TextBytes
			for _, w := range e.Weights {
				if w != 0 {
					info.Learnt++
				}
			}
		}
		for b := range d.Batches(40) {
			checkBatch(t, b, 40)
			got = append(got, b.Examples...)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]SourceInfo{info}, d.Sources()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		total := d.Total()
		if total.Tokens != info.Tokens || total.Examples != info.Examples || total.TextBytes != info.TextBytes {
			t.Errorf("%+v", total)
		}
	}
}

// checkBatch: the flat slices are the examples one after the other.
func checkBatch(t *testing.T, b *Batch, rows int) {
	t.Helper()
	if b.Rows() > rows || b.Rows() == 0 {
		t.Errorf("%d rows, the budget is %d", b.Rows(), rows)
	}
	if len(b.Index) != len(b.Examples) {
		t.Errorf("%d examples, %d of them numbered", len(b.Examples), len(b.Index))
	}
	var flat Batch
	for _, e := range b.Examples {
		flat.Tokens = append(flat.Tokens, e.Tokens...)
		flat.Targets = append(flat.Targets, e.Targets...)
		flat.Weights = append(flat.Weights, e.Weights...)
		flat.Text = append(flat.Text, e.Text...)
		flat.TextBytes += e.TextBytes
	}
	flat.Examples, flat.Index = b.Examples, b.Index
	if diff := cmp.Diff(&flat, b); diff != "" {
		t.Errorf("flat (-want +got):\n%s", diff)
	}
}

// TestWeightsSurvive: weights that no file format knows, but a caller may use.
func TestWeightsSurvive(t *testing.T) {
	d := talk("a", "b", "c", "d")
	for i := range d.Turns {
		d.Turns[i].Weight = []float32{0.25, 3, 0, 1}[i]
	}
	enc := newEncoder(markerTokens, dialogue.ForTokenizer(markerTokens), EncodeOptions{})
	data := &Dataset{levels: []float32{0, 1}}
	l := loader{encoder: enc, out: &source{starts: []int{0}}, known: map[float32]uint8{0: 0, 1: 1}, level: func(w float32) (uint8, error) {
		data.levels = append(data.levels, w)
		return uint8(len(data.levels) - 1), nil
	}}
	enc.encode(d, l.add)
	data.sources = []*source{l.out}
	for b := range data.Batches(100) {
		want := Encode(markerTokens, dialogue.ForTokenizer(markerTokens), d, EncodeOptions{})
		if diff := cmp.Diff(want, b.Examples); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestLoadErrors(t *testing.T) {
	good := corpusFile(t, "g", 3)
	bad := writeFile(t, "bad.jsonl", []byte("{\"turns\":[\"a\"]}\n{}\n"))
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		name    string
		ctx     context.Context
		sources []Source
		o       LoadOptions
		want    string
	}{
		{"no source", context.Background(), nil, LoadOptions{}, "no file"},
		{"a missing file", context.Background(), []Source{{Path: good}, {Path: good + "x"}}, LoadOptions{}, "g.jsonlx: no such file"},
		{"a bad line", context.Background(), []Source{{Path: bad}}, LoadOptions{}, "bad.jsonl:2: key \"turns\""},
		{"an empty file", context.Background(), []Source{{Path: writeFile(t, "e.jsonl", nil)}}, LoadOptions{}, "e.jsonl: nothing to learn"},
		{"no replies", context.Background(), []Source{{Path: bad}}, LoadOptions{Read: Options{SkipBad: true}, Encode: EncodeOptions{Loss: LossReplies}}, "nothing to learn in it (dialogues: 1, bad lines: 1)"},
		{"a tiny context", context.Background(), []Source{{Path: good}}, LoadOptions{Encode: EncodeOptions{Context: 1}}, "context of 1"},
		{"a negative weight", context.Background(), []Source{{Path: good, Weight: -1}}, LoadOptions{}, "weight -1"},
		{"no number", context.Background(), []Source{{Path: good, Weight: math.NaN()}}, LoadOptions{}, "weight NaN"},
		{"canceled", canceled, []Source{{Path: good}}, LoadOptions{}, "context canceled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(tt.ctx, markerTokens, dialogue.ForTokenizer(markerTokens), tt.sources, tt.o)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "The system cannot find the file specified", "no such file"), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// TestStreamPasses: a source is gone through completely before it begins anew,
// in another order.
func TestStreamPasses(t *testing.T) {
	const n = 50
	s, err := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", n)}).Stream(120, 7)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for len(order) < 4*n {
		b := s.Next()
		checkBatch(t, b, 120)
		order = append(order, names(b)...)
	}
	passes := map[string]bool{}
	for p := range 4 {
		pass := slices.Clone(order[p*n : (p+1)*n])
		passes[strings.Join(pass, " ")] = true
		slices.Sort(pass)
		if len(slices.Compact(pass)) != n {
			t.Errorf("pass %d shows only %d of %d examples", p, len(slices.Compact(pass)), n)
		}
	}
	if len(passes) != 4 {
		t.Errorf("%d different orders in 4 passes", len(passes))
	}
	if got := s.Passes()[0]; got < 4 || got > 4.5 {
		t.Errorf("%v passes", got)
	}
}

// TestStreamFills: a batch ends only where the next example would not fit.
func TestStreamFills(t *testing.T) {
	const rows = 100
	s, err := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", 64)}).Stream(rows, 1)
	if err != nil {
		t.Fatal(err)
	}
	last := s.Next()
	for range 200 {
		next := s.Next()
		if last.Rows()+len(next.Examples[0].Tokens) <= rows {
			t.Fatalf("%d rows were left free, the next example takes %d", rows-last.Rows(), len(next.Examples[0].Tokens))
		}
		last = next
	}
}

// TestStreamMix: sources are drawn in proportion to their tokens times their
// weights.
func TestStreamMix(t *testing.T) {
	d := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", 300)}, Source{Path: corpusFile(t, "b", 100), Weight: 6}, Source{Path: corpusFile(t, "c", 200), Weight: 0.5})
	s, err := d.Stream(1000, 3)
	if err != nil {
		t.Fatal(err)
	}
	tokens, total := map[byte]float64{}, 0.0
	for range 2000 {
		for _, e := range s.Next().Examples {
			tokens[firstTurn(e)[0]] += float64(len(e.Tokens))
			total += float64(len(e.Tokens))
		}
	}
	natural := 0.0
	for _, info := range d.Sources() {
		natural += float64(info.Tokens) * info.Weight
	}
	for i, letter := range []byte("abc") {
		info := d.Sources()[i]
		want, got := float64(info.Tokens)*info.Weight/natural, tokens[letter]/total
		if math.Abs(want-got) > 0.01 {
			t.Errorf("%c has %.3f of the tokens, want %.3f", letter, got, want)
		}
	}
}

// TestStreamResumes: from every position, by way of JSON, on another Stream of a
// Dataset loaded anew, the same batches follow, bit for bit.
func TestStreamResumes(t *testing.T) {
	sources := []Source{{Path: corpusFile(t, "a", 30)}, {Path: corpusFile(t, "b", 7), Weight: 3}}
	first, err := load(t, LoadOptions{}, sources...).Stream(90, 11)
	if err != nil {
		t.Fatal(err)
	}
	var states []string
	var batches []*Batch
	for range 60 {
		state, err := json.Marshal(first.State())
		if err != nil {
			t.Fatal(err)
		}
		states = append(states, string(state))
		batches = append(batches, first.Next())
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	second, err := load(t, LoadOptions{}, sources...).Stream(90, 11)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(len(states)) {
		var state DatasetState
		if err := json.Unmarshal([]byte(states[i]), &state); err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(state); err != nil {
			t.Fatal(err)
		}
		for j := i; j < min(i+3, len(batches)); j++ {
			if diff := cmp.Diff(batches[j], second.Next()); diff != "" {
				t.Fatalf("batch %d from state %d (-want +got):\n%s", j, i, diff)
			}
		}
	}
}

// TestStreamGolden keeps the order of the examples: a run that was stopped must
// go on the same way after any change to this package.
func TestStreamGolden(t *testing.T) {
	s, err := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", 12)}, Source{Path: corpusFile(t, "b", 5), Weight: 2}).Stream(80, 42)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for range 20 {
		fmt.Fprintln(&b, strings.Join(names(s.Next()), " "))
	}
	golden(t, "stream.golden", []byte(b.String()))
}

func TestSeeds(t *testing.T) {
	d := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", 100)})
	orders := map[string]bool{}
	for seed := range uint64(20) {
		s, err := d.Stream(500, seed)
		if err != nil {
			t.Fatal(err)
		}
		orders[strings.Join(names(s.Next()), " ")] = true
	}
	if len(orders) != 20 {
		t.Errorf("20 seeds give %d different batches", len(orders))
	}
}

func TestRestoreErrors(t *testing.T) {
	path := corpusFile(t, "a", 30)
	d := load(t, LoadOptions{}, Source{Path: path})
	s, err := d.Stream(90, 11)
	if err != nil {
		t.Fatal(err)
	}
	s.Next()
	state := s.State()
	others := []struct {
		name string
		d    *Dataset
	}{
		{"other weights", load(t, LoadOptions{}, Source{Path: path, Weight: 2})},
		{"another context", load(t, LoadOptions{Encode: EncodeOptions{Context: 12}}, Source{Path: path})},
		{"another loss", load(t, LoadOptions{Encode: EncodeOptions{Loss: LossReplies}}, Source{Path: path})},
		{"another file", load(t, LoadOptions{}, Source{Path: corpusFile(t, "b", 30)})},
		{"one file more", load(t, LoadOptions{}, Source{Path: path}, Source{Path: path})},
	}
	for _, tt := range others {
		other, err := tt.d.Stream(90, 11)
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Restore(state); err == nil || !strings.Contains(err.Error(), "other data") {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	before := s.State()
	for name, change := range map[string]func(*DatasetState){
		"seed":    func(s *DatasetState) { s.Seed++ },
		"sources": func(s *DatasetState) { s.Drawn = append(s.Drawn, 0) },
		"draws":   func(s *DatasetState) { s.Draws++ },
	} {
		damaged := state
		change(&damaged)
		if err := s.Restore(damaged); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if diff := cmp.Diff(before, s.State()); diff != "" {
		t.Errorf("a failed Restore moved the stream:\n%s", diff)
	}
}

func TestBatchBudget(t *testing.T) {
	d := load(t, LoadOptions{}, Source{Path: corpusFile(t, "a", 30)})
	longest := d.Longest()
	if _, err := d.Stream(longest-1, 0); err == nil {
		t.Error("a budget smaller than the longest example is no error")
	}
	s, err := d.Stream(longest, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		checkBatch(t, s.Next(), longest)
	}
	n := 0
	for b := range d.Batches(1) { // smaller than any example: one at a time
		n += len(b.Examples)
	}
	if n != 30 {
		t.Errorf("%d examples of 30", n)
	}
	for range d.Batches(100) {
		break // the iterator must stand that
	}
}

func TestTexts(t *testing.T) {
	path := writeFile(t, "x.tsv", []byte(sameDialogues[FormatTSV]))
	texts, failed := Texts(context.Background(), []string{path, path}, Options{})
	got := slices.Collect(texts)
	want := []string{"Hi!", "Hello, you.", "你好", "你好呀", "再见"}
	if diff := cmp.Diff(append(want, want...), got); diff != "" || failed() != nil {
		t.Errorf("%v (-want +got):\n%s", failed(), diff)
	}
	for range texts {
		break
	}
	texts, failed = Texts(context.Background(), []string{path, filepath.Join(t.TempDir(), "no")}, Options{})
	if n := len(slices.Collect(texts)); n != 5 || failed() == nil {
		t.Errorf("%d texts, error %v", n, failed())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	texts, failed = Texts(ctx, []string{path}, Options{})
	if n := len(slices.Collect(texts)); n != 0 || !errors.Is(failed(), context.Canceled) {
		t.Errorf("%d texts, error %v", n, failed())
	}
}
