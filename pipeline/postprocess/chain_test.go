package postprocess

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestChain(t *testing.T) {
	chat := Options{Spacing: SpacingNatural, Roles: true, WholeSentences: true}
	tests := []struct {
		name string
		text string
		cut  bool
		o    Options
		want string
	}{
		{"as it is", "  a  b\uFFFD", false, Options{}, "  a  b\uFFFD"},
		{"reply", " Hello there! ", false, chat, "Hello there!"},
		{"own role", "Assistant: Hello!", false, chat, "Hello!"},
		{"the user's next line", "Hello!\nUser: and you?", false, chat, "Hello!"},
		{"the user's next line in Chinese", "你好！\n用户：你呢？", false, chat, "你好！"},
		{"a spelled marker", "Hello!<|end|><|user|>what", false, chat, "Hello!"},
		{"cut", "One. Two. Thr", true, chat, "One. Two."},
		{"cut, but stopped before", "One. Two\nUser: x", true, chat, "One. Two"},
		{"cut in the first sentence", "Only half a", true, chat, "Only half a"},
		{"ended without a full stop", "One. Two", false, chat, "One. Two"},
		{"stop string", "one two three", false, Options{Stops: []string{"two"}}, "one "},
		{"half a stop string", "one tw", true, Options{Stops: []string{"two"}}, "one tw"},
		{"WordPiece", "你 好 ！ 我 是", true, Options{Spacing: SpacingWords, WholeSentences: true}, "你好！"},
		{"empty", "", true, chat, ""},
	}
	for _, test := range tests {
		if got := Text(test.text, test.cut, test.o); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// FuzzChain: however a text is cut, the same reply comes out, in whole runes.
// It is a beginning of the rewritten text, which is, up to trailing space, a
// fixed point of the stages that rewrite. (The beginning itself need not be:
// "5 !7" keeps its space, which "5 !" would lose, and a sentence ends there.)
func FuzzChain(f *testing.F) {
	f.Add("Assistant: 你 好 ！ don ' t. stop\nUser: x <|end|>", 9, true, uint8(15))
	f.Add(" A reply, 3 . 5. And half", 12, true, uint8(2))
	f.Fuzz(func(t *testing.T, text string, cutAt int, cut bool, bits uint8) {
		if !utf8.ValidString(text) {
			return
		}
		o := Options{Spacing: Spacing(bits % 3), Roles: bits&4 != 0, WholeSentences: bits&8 != 0}
		if bits&16 != 0 {
			o.Stops = []string{"stop", "好"}
		}
		want := Text(text, cut, o)
		at := runeStart(text, cutAt)
		c := New(o)
		first := c.Push(text[:at])
		second := c.Push(text[at:])
		if got := first + second + c.Flush(cut); got != want {
			t.Fatalf("%q cut at %d: %q, whole %q", text, at, got, want)
		}
		if !utf8.ValidString(first) || !utf8.ValidString(second) {
			t.Fatalf("%q cut at %d gives half a rune: %q, %q", text, at, first, second)
		}
		for _, stop := range o.Stops {
			if strings.Contains(want, stop) {
				t.Fatalf("%q shows the stop %q: %q", text, stop, want)
			}
		}
		rewritten := rewrite(text, o)
		if !strings.HasPrefix(rewritten, want) {
			t.Fatalf("%q is rewritten as %q, of which %q is no beginning", text, rewritten, want)
		}
		if again := rewrite(rewritten, o); strings.TrimSpace(again) != strings.TrimSpace(rewritten) {
			t.Fatalf("%q becomes %q becomes %q", text, rewritten, again)
		}
	})
}

// rewrite is what the stages that rewrite make of text: the others only end it.
func rewrite(text string, o Options) string {
	roles := roleStripper{passing: !o.Roles}
	return roles.push(tidy(text, o.Spacing)) + roles.flush()
}
