package pipeline

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
	"causerie/pipeline/sampling"
)

func sessionOptions() Options {
	return Options{Options: sampling.Options{Temperature: 1, RepetitionPenalty: 1.1}, MaxTokens: 10, Seed: seed(4), Raw: true}
}

// A session's replies are those of a fresh engine asked with the whole history:
// keeping the cache from turn to turn changes nothing, also when old turns go.
func TestSessionIsTheSameWithoutItsCache(t *testing.T) {
	e := engineOf(t, randomModel(t, 128), EngineOptions{})
	s := NewSession(e, "  Be kind. ", sessionOptions())
	dropped := false
	for turn := range 8 {
		history := append(s.Turns(), dialogue.User("你好 again"))
		o := sessionOptions()
		o.Stream = uint64(turn)
		fresh := engineOf(t, randomModel(t, 128), EngineOptions{})
		want, err := fresh.Chat(t.Context(), ChatRequest{Messages: history, Options: o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Say(t.Context(), "你好 again", nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameReply); diff != "" {
			t.Errorf("turn %d (-fresh +session):\n%s", turn, diff)
		}
		dropped = dropped || got.DroppedTurns > 0
	}
	if !dropped {
		t.Error("the context never filled up")
	}
}

func TestSessionHistory(t *testing.T) {
	e := recite(t, "Hello there!")
	s := NewSession(e, "", Options{})
	ask := func(ctx context.Context, emit func(Piece) error) error {
		_, err := s.Say(ctx, "Hi", emit)
		return err
	}
	if err := ask(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := []dialogue.Turn{dialogue.User("Hi"), dialogue.Assistant("Hello there!")}
	if diff := cmp.Diff(want, s.Turns()); diff != "" {
		t.Errorf("after one question (-want +got):\n%s", diff)
	}
	var out strings.Builder
	if err := s.Save(&out); err != nil || out.String() != `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello there!"}]}`+"\n" {
		t.Errorf("saved %q, %v", out.String(), err)
	}
	s.Reset()
	ctx, cancel := context.WithCancel(t.Context())
	shown := 0
	err := ask(ctx, func(p Piece) error {
		if shown += len(p.Text); shown >= 5 {
			cancel()
		}
		return nil
	})
	want[1].Text = "Hello"
	if diff := cmp.Diff(want, s.Turns()); !errors.Is(err, context.Canceled) || diff != "" {
		t.Errorf("after an interrupted reply: %v (-want +got):\n%s", err, diff)
	}
	s.Reset()
	if err := ask(ctx, nil); !errors.Is(err, context.Canceled) || len(s.Turns()) != 0 {
		t.Errorf("after no reply: %v, %v", err, s.Turns())
	}
	s = NewSession(e, "Sys", Options{})
	out.Reset()
	if err := s.Save(&out); err != nil || out.String() != `{"messages":[{"role":"system","content":"Sys"}]}`+"\n" {
		t.Errorf("saved %q, %v", out.String(), err)
	}
}
