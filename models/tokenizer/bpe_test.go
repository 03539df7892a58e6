package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var samples = []string{
	"",
	" ",
	"Hello, world!",
	"  two spaces, then\n\n\tlines \r\n and trailing  ",
	"I'll say it's what they've done; we're 'dead', o'clock 'S 'LL I'd 'm 're 'v 'r 'l",
	"你好，世界！今天天气怎么样？我觉得很好。",
	"中英 mixed 文字 with 123 数字 and １２３ fullwidth, ⅣⅤ numerals",
	"emoji 😀👩‍👩‍👧‍👦 🇨🇳 e\u0301 combining",
	"\u3000ideographic\u3000space \u00a0nbsp\u2003em \u0085nel",
	"<|endoftext|>",
	strings.Repeat("a", 200) + " " + strings.Repeat("ab", 100),
	strings.Repeat("啊", 100),
	"\x00\x01\x7f control",
	"Ġ Ċ ä½ł",
	"𠀀𠀁 rare Han, 한국어, ไทย, العربية, עברית, हिन्दी",
	"'",
	"''s",
	" 's",
	"a \u00a0 b",
}

func TestBPEMatchesOracle(t *testing.T) {
	bpe := gpt2()
	for _, text := range samples {
		checkOracle(t, bpe, text)
	}
}

func checkOracle(t *testing.T, bpe *BPE, text string) {
	t.Helper()
	got := bpe.Encode(nil, text)
	if back := bpe.Decode(got); back != text {
		t.Errorf("Decode(Encode(%q)) = %q", text, back)
	}
	// The oracle turns each invalid byte into U+FFFD before it encodes.
	if !utf8.ValidString(text) {
		text = string([]rune(text))
		got = bpe.Encode(nil, text)
	}
	// It also loses every DEL: its regular expression engine takes U+007F for outside
	// of [^\s\p{L}\p{N}]. TestBPEDelete covers that character.
	if strings.ContainsRune(text, '\x7f') {
		return
	}
	if want := oracleEncode(t, text); !slices.Equal(got, want) {
		t.Errorf("Encode(%q)\n got %v\nwant %v", text, got, want)
	}
}

func TestBPEDelete(t *testing.T) {
	// Of the bytes that do not spell themselves,
	// 0x00 to 0x20 have the ids 188 to 220 in GPT-2, and 0x7F is next.
	got := gpt2().Encode(nil, "a\x7fb\x7f control")
	if want := []int32{64, 221, 65, 221, 1630}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func FuzzBPE(f *testing.F) {
	for _, s := range samples {
		f.Add(s)
	}
	f.Add("\xff\xfe \xe4\xbd 你\xa0 \xed\xa0\x80")
	bpe := gpt2()
	f.Fuzz(func(t *testing.T, text string) { checkOracle(t, bpe, text) })
}
