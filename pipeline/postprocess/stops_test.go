package postprocess

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestStopper(t *testing.T) {
	tests := []struct {
		name    string
		stops   []string
		pieces  []string
		shown   []string // after each piece, and at the end
		stopped bool
	}{
		{"no stops", nil, []string{"abc", "d"}, []string{"abc", "d", ""}, false},
		{"within a piece", []string{"END"}, []string{"a END b", "c"}, []string{"a ", "", ""}, true},
		{"across pieces", []string{"END"}, []string{"aE", "N", "Db"}, []string{"a", "", "", ""}, true},
		{"held back and released", []string{"END"}, []string{"aE", "N", "T"}, []string{"a", "", "ENT", ""}, false},
		{"flushed at the end", []string{"END"}, []string{"aEN"}, []string{"a", "EN"}, false},
		{"the longest prefix is held", []string{"aab"}, []string{"aaa", "b"}, []string{"a", "", ""}, true},
		{"first complete wins", []string{"abc", "b"}, []string{"xabc"}, []string{"xa", ""}, true},
		{"longest of those complete together", []string{"b", "ab"}, []string{"xab"}, []string{"x", ""}, true},
		{"Chinese", []string{"再见"}, []string{"好。再", "见！"}, []string{"好。", "", ""}, true},
		{"runes with common bytes", []string{"佡"}, []string{"你"}, []string{"你", ""}, false},
	}
	for _, test := range tests {
		s := stopper{stops: test.stops}
		var shown []string
		for _, piece := range test.pieces {
			shown = append(shown, s.push(piece))
		}
		shown = append(shown, s.flush())
		if !slices.Equal(shown, test.shown) || s.stopped != test.stopped {
			t.Errorf("%s: showed %q (stopped %v), want %q (%v)", test.name, shown, s.stopped, test.shown, test.stopped)
		}
	}
}

// FuzzStopper: whatever the cuts, the same text is shown; it holds no stop
// string, is a start of the text and whole runes.
func FuzzStopper(f *testing.F) {
	f.Add("one two three", "two", "wo t", 5)
	f.Add("你好，再见", "再见", "好", 4)
	f.Add("aaaaab", "aab", "ab", 2)
	f.Fuzz(func(t *testing.T, text, stop1, stop2 string, cut int) {
		if stop1 == "" || stop2 == "" || !utf8.ValidString(text) || !utf8.ValidString(stop1) || !utf8.ValidString(stop2) {
			return
		}
		stops := []string{stop1, stop2}
		whole := stopper{stops: stops}
		want := whole.push(text) + whole.flush()
		cut = runeStart(text, cut)
		s := stopper{stops: stops}
		first := s.push(text[:cut])
		got := first + s.push(text[cut:]) + s.flush()
		if got != want || s.stopped != whole.stopped {
			t.Fatalf("%q cut at %d shows %q, whole %q", text, cut, got, want)
		}
		if !strings.HasPrefix(text, want) || !utf8.ValidString(first) || !utf8.ValidString(want) {
			t.Fatalf("%q shows %q, first %q", text, want, first)
		}
		for _, stop := range stops {
			if strings.Contains(want, stop) {
				t.Fatalf("%q shows %q, which holds the stop %q", text, want, stop)
			}
		}
		if whole.stopped != (strings.Contains(text, stop1) || strings.Contains(text, stop2)) {
			t.Fatalf("%q: stopped is %v", text, whole.stopped)
		}
	})
}
