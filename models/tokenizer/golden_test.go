package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// goldenCase is one text as transformers encodes it; testdata/golden.py makes them.
type goldenCase struct {
	Text    string
	Plain   []int32 // special tokens' names are text
	Special []int32 // they are special tokens
	Decoded *string // of Special
}

func readGolden(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatal(err)
	}
}

func checkGolden(t *testing.T, tok Tokenizer, cases []goldenCase) {
	t.Helper()
	for _, c := range cases {
		if got := tok.Encode(nil, c.Text); !slices.Equal(got, c.Plain) {
			t.Errorf("Encode(%q)\n got %v\nwant %v", c.Text, got, c.Plain)
		}
		if got := tok.EncodeSpecial(nil, c.Text); !slices.Equal(got, c.Special) {
			t.Errorf("EncodeSpecial(%q)\n got %v\nwant %v", c.Text, got, c.Special)
		}
		if c.Decoded == nil {
			continue
		}
		if got := tok.Decode(c.Special); got != *c.Decoded {
			t.Errorf("Decode(%v)\n got %q\nwant %q", c.Special, got, *c.Decoded)
		}
		if got := streamed(tok, c.Special); got != *c.Decoded {
			t.Errorf("streaming %v\n got %q\nwant %q", c.Special, got, *c.Decoded)
		}
	}
}

// streamed puts together what a stream makes of ids.
func streamed(tok Tokenizer, ids []int32) string {
	s := NewStream(tok)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(s.Push(id))
	}
	b.WriteString(s.Flush())
	return b.String()
}

func TestBPEGolden(t *testing.T) {
	var cases []goldenCase
	readGolden(t, "bpe.golden.json", &cases)
	tok, err := Load(os.DirFS("testdata/bpe"))
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, tok, cases)
}

func TestBPEVariantsGolden(t *testing.T) {
	var golden []struct {
		Name      string
		Tokenizer json.RawMessage
		Cases     []goldenCase
	}
	readGolden(t, "bpe-variants.golden.json", &golden)
	for _, g := range golden {
		t.Run(g.Name, func(t *testing.T) {
			tok, err := Load(fstest.MapFS{fileTokenizer: {Data: g.Tokenizer}})
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, g.Cases)
			dir := t.TempDir()
			if err := tok.(*BPE).Save(dir); err != nil {
				t.Fatal(err)
			}
			if tok, err = Load(os.DirFS(dir)); err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, g.Cases)
		})
	}
}

func TestWordPieceGolden(t *testing.T) {
	vocab, err := os.ReadFile("testdata/wordpiece/vocab.txt")
	if err != nil {
		t.Fatal(err)
	}
	var golden []struct {
		Name      string
		Config    json.RawMessage
		Tokenizer json.RawMessage
		Cases     []goldenCase
	}
	readGolden(t, "wordpiece.golden.json", &golden)
	for _, g := range golden {
		for form, files := range map[string]fstest.MapFS{
			"vocab.txt":      {fileWordPiece: {Data: vocab}, fileConfig: {Data: g.Config}},
			"tokenizer.json": {fileTokenizer: {Data: g.Tokenizer}},
		} {
			t.Run(g.Name+"/"+form, func(t *testing.T) {
				tok, err := Load(files)
				if err != nil {
					t.Fatal(err)
				}
				checkGolden(t, tok, g.Cases)
			})
		}
	}
}
