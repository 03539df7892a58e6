package tokenizer

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestZeroValues: a tokenizer without a vocabulary knows nothing and does not panic.
func TestZeroValues(t *testing.T) {
	for _, tok := range []Tokenizer{new(BPE), new(WordPiece)} {
		if got := tok.EncodeSpecial(tok.Encode(nil, "hello"), "hello"); len(got) != 0 {
			t.Errorf("%T encodes: %v", tok, got)
		}
		if got := tok.Decode([]int32{-1, 0, 1}); got != "" {
			t.Errorf("%T decodes: %q", tok, got)
		}
		if _, ok := tok.SpecialID("[SEP]"); ok || tok.IsSpecial(0) || tok.VocabSize() != 0 || len(tok.AppendToken(nil, 0)) != 0 {
			t.Errorf("%T knows something", tok)
		}
		checkStream(t, tok, []int32{0, 1})
		if saver := tok.(interface{ Save(string) error }); saver.Save(t.TempDir()) == nil {
			t.Errorf("%T: an empty vocabulary was saved", tok)
		}
	}
}

// TestAppends: Encode and AppendToken extend what they are given.
func TestAppends(t *testing.T) {
	for _, tok := range []Tokenizer{gpt2(), smallWordPiece()} {
		ids := tok.Encode([]int32{7}, "hello")
		if !slices.Equal(ids[1:], tok.Encode(nil, "hello")) || ids[0] != 7 {
			t.Errorf("%T: Encode gives %v", tok, ids)
		}
		if got := string(tok.AppendToken([]byte("x"), ids[1])); got != "x"+string(tok.AppendToken(nil, ids[1])) {
			t.Errorf("%T: AppendToken gives %q", tok, got)
		}
		if got := tok.AppendToken([]byte("x"), -1); string(got) != "x" {
			t.Errorf("%T: AppendToken of no token gives %q", tok, got)
		}
	}
}

// TestOutsideVocabulary: ids that are no token's stand for nothing.
func TestOutsideVocabulary(t *testing.T) {
	for _, tok := range []Tokenizer{gpt2(), smallWordPiece()} {
		ids := tok.Encode(nil, "hello world")
		var noisy []int32
		for _, id := range ids {
			noisy = append(noisy, -1, id, int32(tok.VocabSize()), 1<<31-1, -1<<31)
		}
		if got, want := tok.Decode(noisy), tok.Decode(ids); got != want {
			t.Errorf("%T: %q, want %q", tok, got, want)
		}
		checkStream(t, tok, noisy)
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, tok := range []Tokenizer{gpt2(), smallWordPiece()} {
		text := strings.Join(samples, "\n")
		want := tok.Encode(nil, text)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 20 {
					got := tok.Encode(nil, text)
					if !slices.Equal(got, want) || tok.Decode(got) != tok.Decode(want) {
						t.Error("another result in another goroutine")
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

// TestLongWords: the time of one endless word grows about as its length does.
func TestLongWords(t *testing.T) {
	tok := gpt2()
	for _, unit := range []string{"a", "ab", "word", "=", " ", "\n", "你", "啊哈", "\xff", "\xe4", "1"} {
		encode := func(n int) (time.Duration, int) {
			text := strings.Repeat(unit, n/len(unit))
			start := time.Now()
			ids := tok.Encode(nil, text)
			took := time.Since(start)
			if tok.Decode(ids) != text {
				t.Errorf("%q × %d does not come back", unit, n)
			}
			return took, len(ids)
		}
		// Quadratic time would be half a minute and more for a megabyte.
		if took, n := encode(1 << 20); took > 10*time.Second {
			t.Errorf("a megabyte of %q takes %v for %d ids", unit, took, n)
		}
	}
}

// TestShortAndLongAgree: the two ways of merging give the same ids.
func TestShortAndLongAgree(t *testing.T) {
	tok := gpt2()
	var s scratch
	for _, text := range append(samples, benchText()[:4096]) {
		for len(text) > 0 {
			n := min(len(text), shortWord)
			short := s.short.merge(tok, nil, text[:n])
			long := s.long.merge(tok, nil, text[:n])
			if !slices.Equal(short, long) {
				t.Fatalf("%q: short %v, long %v", text[:n], short, long)
			}
			text = text[min(len(text), 1+n/3):]
		}
	}
}
