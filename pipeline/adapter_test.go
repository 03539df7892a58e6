package pipeline

import (
	"errors"
	"testing"

	"causerie/models/gpt2"
	"causerie/models/lora"
)

// TestAdapterOfARequest: requests through different adapters share an engine,
// and what one has computed is not taken for another's.
func TestAdapterOfARequest(t *testing.T) {
	e := engineOf(t, randomModel(t, 256), EngineOptions{Threads: 1})
	ask := func(a *gpt2.Adapter) Reply {
		o := Options{MaxTokens: 20, MinTokens: 20, Adapter: a, IgnoreEnd: true, Raw: true}
		reply, err := e.Generate(t.Context(), GenerateRequest{Text: systems[2], Options: o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	base, one, two := ask(nil), ask(adapters()[0]), ask(adapters()[1])
	if base.Text == one.Text || one.Text == two.Text {
		t.Errorf("replies %q, %q and %q", base.Text, one.Text, two.Text)
	}
	if one.CachedTokens != 0 || two.CachedTokens != 0 {
		t.Errorf("%d and %d tokens were taken from other adapters", one.CachedTokens, two.CachedTokens)
	}
	if again := ask(adapters()[0]); again.Text != one.Text || again.CachedTokens == 0 {
		t.Errorf("asked again: %q with %d tokens remembered, want %q", again.Text, again.CachedTokens, one.Text)
	}
	foreign, err := lora.New(gpt2.Config{VocabSize: 1, Positions: 1, Width: 64, Heads: 4, Layers: 2}, lora.Config{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Generate(t.Context(), GenerateRequest{Text: "hi", Options: Options{Adapter: foreign.Net}}, nil)
	if bad := (*OptionError)(nil); !errors.As(err, &bad) || bad.Field != "adapter" {
		t.Errorf("an adapter of another shape: %v", err)
	}
}
