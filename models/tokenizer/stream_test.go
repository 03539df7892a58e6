package tokenizer

import (
	"os"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// checkStream compares a stream with Decode of all ids at once.
func checkStream(t *testing.T, tok Tokenizer, ids []int32) {
	t.Helper()
	want := strings.ToValidUTF8(tok.Decode(ids), "\uFFFD")
	s := NewStream(tok)
	for range 2 { // a flushed stream is a new one
		var got strings.Builder
		for _, id := range ids {
			piece := s.Push(id)
			if !utf8.ValidString(piece) {
				t.Fatalf("Push(%d) of %v gives %q", id, ids, piece)
			}
			got.WriteString(piece)
		}
		got.WriteString(s.Flush())
		if got.String() != want {
			t.Fatalf("streaming %v\n got %q\nwant %q", ids, got.String(), want)
		}
	}
}

var smallWordPiece = sync.OnceValue(func() *WordPiece {
	tok, err := Load(os.DirFS("testdata/wordpiece"))
	if err != nil {
		panic(err)
	}
	return tok.(*WordPiece)
})

// TestStreamTiming says when text appears, not only that it does.
func TestStreamTiming(t *testing.T) {
	bpe := gpt2()
	id := func(b byte) int32 { return bpe.byteID[b] }
	for name, c := range map[string]struct {
		ids  []int32
		want []string // of each Push, then of Flush
	}{
		"ASCII at once":      {[]int32{id('a'), id('b')}, []string{"a", "b", ""}},
		"whole rune":         {[]int32{id(0xE4), id(0xBD), id(0xA0)}, []string{"", "", "你", ""}},
		"cut off":            {[]int32{id('a'), id(0xE4), id(0xBD)}, []string{"a", "", "", "\uFFFD"}},
		"broken off":         {[]int32{id(0xE4), id(0xBD), id('a')}, []string{"", "", "\uFFFDa", ""}},
		"never valid":        {[]int32{id(0xFF), id(0xFE), id('a'), id(0xFF)}, []string{"\uFFFD", "", "a", "\uFFFD", ""}},
		"outside vocabulary": {[]int32{-1, id('a'), 99999, id('b')}, []string{"", "a", "", "b", ""}},
		"nothing":            {nil, []string{""}},
	} {
		s := NewStream(bpe)
		for i, id := range c.ids {
			if got := s.Push(id); got != c.want[i] {
				t.Errorf("%s: Push number %d gives %q, want %q", name, i, got, c.want[i])
			}
		}
		if got := s.Flush(); got != c.want[len(c.ids)] {
			t.Errorf("%s: Flush gives %q, want %q", name, got, c.want[len(c.ids)])
		}
	}
}

// foreign is a Tokenizer from outside of this package, which a Stream serves as well.
type foreign struct{ Tokenizer }

func TestStreamForeign(t *testing.T) {
	ids := gpt2().Encode(nil, "hello 你好 \xff😀")
	checkStream(t, foreign{gpt2()}, ids)
}

func FuzzStream(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Add([]byte("\xff\xfe\xe4\xbd\xf0\x9f\x98\xed\xa0\x80"), false)
	f.Fuzz(func(t *testing.T, data []byte, asIDs bool) {
		bpe, words := gpt2(), smallWordPiece()
		var ids []int32
		if asIDs {
			for i := 0; i+1 < len(data); i += 2 {
				ids = append(ids, int32(data[i])<<8|int32(data[i+1]))
			}
		} else {
			// Single bytes: characters are never whole.
			for _, b := range data {
				ids = append(ids, bpe.byteID[b])
			}
		}
		checkStream(t, bpe, ids)
		for i := range ids {
			ids[i] %= int32(words.VocabSize()) + 2
		}
		checkStream(t, words, ids)
		checkStream(t, words.JoinHan(), ids)
	})
}
