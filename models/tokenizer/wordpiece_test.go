package tokenizer

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestWordPieceJoinHan(t *testing.T) {
	plain := smallWordPiece()
	joined := plain.JoinHan()
	for _, c := range []struct{ text, plain, joined string }{
		{"", "", ""},
		{"你好，世界！", "你 好 ， 世 界 ！", "你好，世界！"},
		{"你好hello world世界", "你 好 hello world 世 界", "你好hello world世界"},
		{"hello, “world” …", "hello, “ world ” …", "hello,“world”…"},
		{"hello 世界 unaffable hello", "hello 世 界 unaffable hello", "hello世界unaffable hello"},
		{"[SEP]你好[SEP]hello", "[SEP] 你 好 [SEP] hello", "[SEP]你好[SEP] hello"},
	} {
		ids := plain.EncodeSpecial(nil, c.text)
		if got := joined.EncodeSpecial(nil, c.text); !slices.Equal(got, ids) {
			t.Errorf("JoinHan changes the ids of %q: %v, not %v", c.text, got, ids)
		}
		if got := plain.Decode(ids); got != c.plain {
			t.Errorf("plain: %q, want %q", got, c.plain)
		}
		if got := joined.Decode(ids); got != c.joined {
			t.Errorf("joined: %q, want %q", got, c.joined)
		}
		checkStream(t, joined, ids)
	}
}

// TestWordPieceTwice checks an entry on two lines: text gets the later id, and both
// ids have the text.
func TestWordPieceTwice(t *testing.T) {
	tok, err := Load(folder(map[string]string{fileWordPiece: "[UNK]\nhello\n\nhello\n"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(nil, "hello"); !slices.Equal(got, []int32{3}) {
		t.Errorf("Encode: %v", got)
	}
	if got := tok.Decode([]int32{1, 2, 3, 4, -1}); got != "hello hello" {
		t.Errorf("Decode: %q", got)
	}
}

func TestWordPieceInvalidUTF8(t *testing.T) {
	tok := smallWordPiece()
	want := tok.Encode(nil, "hello")
	if got := tok.Encode(nil, "he\xff\xe4l\xe4\xbdlo"); !slices.Equal(got, want) {
		t.Errorf("wrong bytes are not dropped like U+FFFD: %v, want %v", got, want)
	}
}

func TestWordPieceSave(t *testing.T) {
	for name, config := range map[string]string{
		"uncased": `{}`,
		"cased":   `{"do_lower_case":false,"added_tokens_decoder":{"300":{"content":"<new>","special":true},"301":{"content":"New Word","normalized":true}}}`,
		"accents": `{"strip_accents":false,"tokenize_chinese_chars":false}`,
	} {
		vocab, err := os.ReadFile("testdata/wordpiece/vocab.txt")
		if err != nil {
			t.Fatal(err)
		}
		tok, err := Load(folder(map[string]string{fileWordPiece: string(vocab), fileConfig: config}))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := tok.(*WordPiece).Save(dir); err != nil {
			t.Fatal(err)
		}
		for _, only := range []string{fileTokenizer, fileWordPiece} {
			loaded, err := Load(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			if loaded.VocabSize() != tok.VocabSize() {
				t.Errorf("%s, %s: %d tokens, want %d", name, only, loaded.VocabSize(), tok.VocabSize())
			}
			for _, text := range append([]string{"<new> a New Word [CLS] Café New Wordx"}, samples...) {
				want := tok.EncodeSpecial(tok.Encode(nil, text), text)
				got := loaded.EncodeSpecial(loaded.Encode(nil, text), text)
				if !slices.Equal(got, want) || loaded.Decode(got) != tok.Decode(want) {
					t.Errorf("%s, %s: %q gives %v, want %v", name, only, text, got, want)
				}
			}
			if err := os.Remove(dir + "/" + fileTokenizer); err != nil && only == fileTokenizer {
				t.Fatal(err)
			}
		}
	}
}

func BenchmarkWordPiece(b *testing.B) {
	// Of the words of the text, the small vocabulary spells the English ones letter by
	// letter and has few Chinese characters: a hard case.
	benchEncode(b, smallWordPiece(), benchText())
}

func TestWordPieceHuge(t *testing.T) {
	tok := smallWordPiece()
	for _, text := range []string{
		strings.Repeat("x", 1<<20), strings.Repeat("你", 1<<18), strings.Repeat("e\u0301", 1<<18),
		strings.Repeat("\u0301", 1<<19), strings.Repeat("[SEP]", 1<<16), strings.Repeat("[", 1<<20),
	} {
		ids := tok.EncodeSpecial(nil, text)
		if n := len(tok.Decode(ids)); n == 0 && text[0] != 0xCC {
			t.Errorf("%d bytes of %q… give nothing", len(text), text[:5])
		}
	}
}
