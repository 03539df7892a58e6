package corpora

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"causerie/models/dialogue"
)

func TestHoldOut(t *testing.T) {
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf(`{"turns":["question %d","answer"]}`, i/2)) // each twice
	}
	file := func(lines []string) string {
		return writeFile(t, "a.jsonl", []byte(strings.Join(lines, "\n")+"\n"))
	}
	held := func(path string, fraction float64, seed uint64) (list []string) {
		h, err := ChooseHoldOut(context.Background(), []string{path}, Options{}, fraction, seed)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for d, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			if h.Held(d) == h.Kept(d) {
				t.Fatal("a dialogue is on both sides, or on none")
			}
			if h.Held(d) {
				list = append(list, d.Turns[0].Text)
			}
		}
		slices.Sort(list)
		return list
	}
	want := held(file(lines), 0.1, 1)
	if len(want) != 20 {
		t.Errorf("%d of 200 lines are held out, want 20: both copies of 10 dialogues", len(want))
	}
	slices.Reverse(lines)
	if got := held(file(lines), 0.1, 1); !slices.Equal(got, want) {
		t.Error("the order of the file matters")
	}
	if got := held(file(lines), 0.1, 2); slices.Equal(got, want) {
		t.Error("the seed does not matter")
	}
	if got := held(file(lines), 0.001, 1); len(got) != 2 {
		t.Errorf("%d lines of one dialogue are held out", len(got))
	}
	if got := held(file(lines), 0, 1); len(got) != 0 {
		t.Errorf("%d lines of nothing are held out", len(got))
	}
	if got := held(file(lines[:18]), 0.5, 1); len(got) != 0 {
		t.Errorf("%d lines of nine dialogues are held out", len(got))
	}
	if _, err := ChooseHoldOut(context.Background(), []string{file(lines)}, Options{}, 1, 1); err == nil {
		t.Error("everything may be held out")
	}
}

func TestLoadKeepsSome(t *testing.T) {
	path := writeFile(t, "a.jsonl", []byte(`{"turns":["a","b"]}`+"\n"+`{"turns":["c","d"]}`+"\n"))
	other := writeFile(t, "b.jsonl", []byte(`{"turns":["c","d"]}`+"\n"))
	load := func(keep func(Dialogue) bool) (*Dataset, error) {
		return Load(context.Background(), markerTokens, dialogue.ForTokenizer(markerTokens), []Source{{Path: other}, {Path: path}}, LoadOptions{Keep: keep})
	}
	d, err := load(func(d Dialogue) bool { return d.Turns[0].Text == "a" })
	if err != nil {
		t.Fatal(err)
	}
	if s := d.Sources(); len(s) != 1 || s[0].Path != path || s[0].Dialogues != 1 {
		t.Errorf("sources %+v", s)
	}
	if _, err := load(func(Dialogue) bool { return false }); err == nil {
		t.Error("loaded nothing")
	}
}
