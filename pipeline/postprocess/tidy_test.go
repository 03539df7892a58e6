package postprocess

import (
	"testing"
	"unicode/utf8"
)

func TestTidyWords(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"你 好 ！ 我 是 小 明 。", "你好！我是小明。"},
		{"hello , how are you ?", "hello, how are you?"},
		{"i don ' t know , it ' s fine . we ' ll see", "i don't know, it's fine. we'll see"},
		{"he said ' hello ' to me", "he said ' hello ' to me"},
		{"我 有 3 个 苹 果", "我有3个苹果"},
		{"我 喜 欢 python 编 程", "我喜欢 python 编程"},
		{"it costs 3 . 5 or 1 , 000 at 10 : 30", "it costs 3.5 or 1,000 at 10:30"},
		{"say \" hi there \" now", "say \"hi there\" now"},
		{"( maybe ) 50 %", "(maybe) 50%"},
		{"他 说 “ 好 的 ” 。", "他说“好的”。"},
		{"  你 好  ", "你好"},
		{"one \n two\n\n\n\nthree", "one\ntwo\n\nthree"},
		{"don ' ", "don '"},
		{"", ""},
		{"   ", ""},
	} {
		if got := tidy(test.in, SpacingWords); got != test.want {
			t.Errorf("tidy(%q) = %q, want %q", test.in, got, test.want)
		}
	}
}

func TestTidyNatural(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{" Hello there!  How are  you? ", "Hello there! How are you?"},
		{"hello , you . Bye !", "hello, you. Bye!"},
		{"a smile :) and .net or .5", "a smile :) and .net or .5"},
		{"你好 ！ 我是 causerie 。", "你好！我是 causerie。"},
		{"好的 谢谢", "好的 谢谢"},
		{"用 Go 写的", "用 Go 写的"},
		{"我有 3 个", "我有 3 个"},
		{"broken \uFFFDhalf\x00", "broken half"},
		{"line\r\nbreak", "line\nbreak"},
		{"don't \"quote me\" please", "don't \"quote me\" please"},
		{"　全角", "全角"},
	} {
		if got := tidy(test.in, SpacingNatural); got != test.want {
			t.Errorf("tidy(%q) = %q, want %q", test.in, got, test.want)
		}
	}
	if got := tidy("  as  it is ", SpacingExact); got != "  as  it is " {
		t.Errorf("exact spacing changed the text to %q", got)
	}
}

// FuzzTidy: the result does not depend on where the text is cut, is valid
// UTF-8, and is left alone by a second pass.
func FuzzTidy(f *testing.F) {
	f.Add("你 好 ！ don ' t stop , it ' s \" fine \" . 3 . 5", 7, true)
	f.Add("a , b :) \n\n\n c\uFFFD“ 好 ”", 3, false)
	f.Fuzz(func(t *testing.T, text string, cut int, words bool) {
		if !utf8.ValidString(text) {
			return
		}
		spacing := SpacingNatural
		if words {
			spacing = SpacingWords
		}
		whole := tidy(text, spacing)
		cut = runeStart(text, cut)
		pieces := tidier{words: words}
		if got := pieces.push(text[:cut]) + pieces.push(text[cut:]) + pieces.flush(); got != whole {
			t.Fatalf("%q cut at %d: %q, whole: %q", text, cut, got, whole)
		}
		var single tidier
		single.words = words
		got := ""
		for _, r := range text {
			got += single.push(string(r))
		}
		if got += single.flush(); got != whole {
			t.Fatalf("%q rune by rune: %q, whole: %q", text, got, whole)
		}
		if again := tidy(whole, spacing); again != whole {
			t.Fatalf("%q becomes %q becomes %q", text, whole, again)
		}
	})
}

// runeStart is a place in text, chosen by n, at which a rune starts.
func runeStart(text string, n int) int {
	if n < 0 {
		n = -(n + 1)
	}
	n %= len(text) + 1
	for n < len(text) && !utf8.RuneStart(text[n]) {
		n++
	}
	return n
}
