package pipeline

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGuess(t *testing.T) {
	for _, c := range []struct {
		name   string
		tokens []int32
		limit  int
		want   []int32
	}{
		{"what followed the last time", []int32{1, 2, 3, 4, 5, 6, 1, 2, 3}, 7, []int32{4, 5, 6}},
		{"no more than the limit", []int32{1, 2, 3, 4, 5, 6, 1, 2, 3}, 2, []int32{4, 5}},
		{"the newest of several", []int32{1, 2, 3, 9, 1, 2, 3, 8, 7, 1, 2, 3}, 1, []int32{8}},
		{"a run", []int32{5, 5, 5, 5}, 7, []int32{5}},
		{"nothing repeats", []int32{1, 2, 3, 4, 5}, 7, nil},
		{"too short a match", []int32{1, 2, 9, 1, 2}, 7, nil},
		{"too short", []int32{1, 1, 1}, 7, nil},
	} {
		if diff := cmp.Diff(c.want, (&guesser{}).guess(nil, c.tokens, c.limit)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestGuesserLearns(t *testing.T) {
	tokens := []int32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2, 3}
	var g guesser
	guess := func() int { return len(g.guess(nil, tokens, 100)) }
	if n := guess(); n != firstGuess {
		t.Errorf("guesses %d tokens at first", n)
	}
	g.learn(3, 3, 7)
	if n := guess(); n != 6 {
		t.Errorf("guesses %d tokens after a good one", n)
	}
	g.learn(6, 6, 7)
	if n := guess(); n != 7 {
		t.Errorf("guesses %d tokens, more than the longest", n)
	}
	g.learn(7, 4, 7)
	if n := guess(); n != 4 {
		t.Errorf("guesses %d tokens after 4 right ones", n)
	}
	rests := 0
	for range 200 {
		if n := guess(); n > 0 {
			g.learn(n, 0, 7)
		} else {
			rests++
		}
	}
	if rests < 180 {
		t.Errorf("rested only %d of 200 steps though no guess was right", rests)
	}
}
