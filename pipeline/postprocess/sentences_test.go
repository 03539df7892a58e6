package postprocess

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSentenceEnd(t *testing.T) {
	for _, test := range []struct{ text, growing, final string }{
		{"", "", ""},
		{"Hello", "", ""},
		{"Hello.", "", "Hello."},
		{"Hello. I am", "Hello.", "Hello."},
		{"Hello! I am", "Hello!", "Hello!"},
		{"你好。我是", "你好。", "你好。"},
		{"真的吗？！好", "真的吗？！", "真的吗？！"},
		{"他说：“好的。”然后", "他说：“好的。”", "他说：“好的。”"},
		{"He said \"yes.\" Then", "He said \"yes.\"", "He said \"yes.\""},
		{"It costs 3.", "", ""},
		{"It costs 3.5 now. And", "It costs 3.5 now.", "It costs 3.5 now."},
		{"In 1999. Then", "In 1999.", "In 1999."},
		{"Mr. Smith and Dr. Who", "", ""},
		{"See example.com for", "", ""},
		{"1. First", "", ""},
		{"Well... maybe", "Well...", "Well..."},
		{"So I.", "", "So I."},
		{"J. Doe", "", ""},
		{"A list\nof two", "A list", "A list"},
	} {
		if got := test.text[:sentenceEnd(test.text, false)]; got != test.growing {
			t.Errorf("%q, growing: %q, want %q", test.text, got, test.growing)
		}
		if got := test.text[:sentenceEnd(test.text, true)]; got != test.final {
			t.Errorf("%q, final: %q, want %q", test.text, got, test.final)
		}
	}
}

func TestSentenceHolder(t *testing.T) {
	for _, test := range []struct {
		text string
		cut  bool
		want string
	}{
		{"One. Two. Thr", true, "One. Two."},
		{"One. Two. Thr", false, "One. Two. Thr"},
		{"Only half a", true, "Only half a"},
		{"One.", true, "One."},
		{"你好！我想", true, "你好！"},
	} {
		var s sentenceHolder
		if got := s.push(test.text) + s.flush(test.cut); got != test.want {
			t.Errorf("%q, cut %v: %q, want %q", test.text, test.cut, got, test.want)
		}
	}
}

// FuzzSentences: a whole sentence stays whole whatever follows, and cuts do not
// change the result.
func FuzzSentences(f *testing.F) {
	f.Add("Hello. It is 3.5, Mr. Fox said \"yes.\" 好的。然后", 9)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		if !utf8.ValidString(text) {
			return
		}
		whole := sentenceEnd(text, true)
		at := runeStart(text, cut)
		if n := sentenceEnd(text[:at], false); n > sentenceEnd(text, false) || n > whole {
			t.Fatalf("%q has %d bytes of sentences at %d, later %d", text, n, at, whole)
		}
		if !utf8.ValidString(text[:whole]) {
			t.Fatalf("%q is cut within a rune at %d", text, whole)
		}
		var one, two sentenceHolder
		want := one.push(text) + one.flush(true)
		if got := two.push(text[:at]) + two.push(text[at:]) + two.flush(true); got != want {
			t.Fatalf("%q cut at %d shows %q, whole %q", text, at, got, want)
		}
		if !strings.HasPrefix(text, want) {
			t.Fatalf("%q shows %q", text, want)
		}
	})
}
