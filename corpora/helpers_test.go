package corpora

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"causerie/models/dialogue"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata, or writes it (go test -update).
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// byteTokenizer is the smallest tokenizer there is: a byte is its own id, and
// special tokens follow from 256 on.
type byteTokenizer []string

func (b byteTokenizer) Encode(dst []int32, text string) []int32 {
	for i := range len(text) {
		dst = append(dst, int32(text[i]))
	}
	return dst
}

func (b byteTokenizer) AppendToken(dst []byte, id int32) []byte {
	if id < 256 {
		return append(dst, byte(id))
	}
	return append(dst, b[id-256]...)
}

func (b byteTokenizer) SpecialID(name string) (int32, bool) {
	i := slices.Index(b, name)
	return int32(256 + i), i >= 0
}

// runeTokenizer has one id a rune, as WordPiece has for Chinese.
type runeTokenizer struct{ byteTokenizer }

func (runeTokenizer) Encode(dst []int32, text string) []int32 {
	for _, r := range text {
		dst = append(dst, 1000+r)
	}
	return dst
}

func (r runeTokenizer) AppendToken(dst []byte, id int32) []byte {
	if id < 1000 {
		return r.byteTokenizer.AppendToken(dst, id)
	}
	return utf8.AppendRune(dst, id-1000)
}

// The vocabularies of the three templates.
var (
	markerTokens   = byteTokenizer(dialogue.Specials())
	chitchatTokens = byteTokenizer{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	dialoGPTTokens = byteTokenizer{dialogue.EndOfText}
)

// talk is a dialogue whose speakers take turns.
func talk(texts ...string) Dialogue {
	d := Dialogue{ID: "test"}
	for i, text := range texts {
		if i%2 == 0 {
			d.Turns = append(d.Turns, dialogue.User(text))
		} else {
			d.Turns = append(d.Turns, dialogue.Assistant(text))
		}
	}
	return d
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zstandard(t testing.TB, data []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(data, nil)
}

// writeFile writes a file of the test's own and returns its path.
func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
