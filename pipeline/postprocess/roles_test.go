package postprocess

import (
	"strings"
	"testing"
)

func TestRoleStripper(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"Hello", "Hello"},
		{"Assistant: Hello", "Hello"},
		{"助手：你好", "你好"},
		{"User: Assistant: Hi", "Hi"},
		{"Assist", "Assist"},
		{"Assistants: many", "Assistants: many"},
		{"Hi, User: you", "Hi, User: you"},
		{"Assistant:", ""},
		{"", ""},
	} {
		var whole, single roleStripper
		if got := whole.push(test.in) + whole.flush(); got != test.want {
			t.Errorf("%q becomes %q, want %q", test.in, got, test.want)
		}
		got := ""
		for _, r := range test.in {
			got += single.push(string(r))
		}
		if got += single.flush(); got != test.want {
			t.Errorf("%q, rune by rune, becomes %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzRoleStripper(f *testing.F) {
	f.Add("Assistant: 用户：hi", 3)
	f.Fuzz(func(t *testing.T, text string, cut int) {
		at := runeStart(text, cut)
		var whole, pieces, again roleStripper
		want := whole.push(text) + whole.flush()
		if got := pieces.push(text[:at]) + pieces.push(text[at:]) + pieces.flush(); got != want {
			t.Fatalf("%q cut at %d: %q, whole %q", text, at, got, want)
		}
		if got := again.push(want) + again.flush(); got != want || !strings.HasSuffix(text, want) {
			t.Fatalf("%q becomes %q becomes %q", text, want, got)
		}
	})
}
