package api

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"

	"causerie/models/dialogue"
	"causerie/models/lora"
	"causerie/pipeline"
)

// tinyAdapter changes what the tiny model says.
func tinyAdapter(t *testing.T, seed uint64) *lora.Adapter {
	t.Helper()
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	a, err := lora.New(engine.Model().Net.Config, lora.Config{Rank: 2, Targets: []string{lora.AllLinear}}, seed)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, p := range a.Params() {
		for i := range p.Data {
			p.Data[i] += float32(r.NormFloat64()) / 2
		}
	}
	return a
}

// withAdapters is a server with the tiny model and two adapters of the
// operator's.
func withAdapters(t *testing.T) *fixture {
	t.Helper()
	f := withEngine(t)
	base := *f.catalog.first()
	one := base.Adapted("one", time.Unix(1700000001, 0), tinyAdapter(t, 1))
	two := base.Adapted("my:two", time.Unix(1700000002, 0), tinyAdapter(t, 2))
	if err := f.SetModel(base, one, two); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSDKModelsByName(t *testing.T) {
	f := withAdapters(t)
	client := f.sdk()
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Data {
		ids = append(ids, m.ID)
	}
	for _, id := range ids {
		_, err := client.Models.Delete(t.Context(), id)
		wantSDKError(t, err, http.StatusForbidden, "model_not_deletable", "model")
	}
	if diff := cmp.Diff([]string{"tiny", "one", "my:two"}, ids); diff != "" {
		t.Error(diff)
	}
	if m, err := client.Models.Get(t.Context(), "my:two"); err != nil || m.Created != 1700000002 {
		t.Errorf("%+v: %v", m, err)
	}
	// All of them at once, each as the engine has it alone.
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range f.catalog.list() {
		o := m.Defaults
		o.MaxTokens, o.WholeSentences, o.Seed = 12, false, new(uint64(7))
		reply, err := engine.Chat(t.Context(), pipeline.ChatRequest{Messages: []dialogue.Turn{dialogue.User("hello")}, Options: o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want[m.ID] = reply.Text
	}
	if want["tiny"] == want["one"] || want["one"] == want["my:two"] {
		t.Fatalf("the adapters change nothing: %q", want)
	}
	var asking sync.WaitGroup
	for i := range 9 {
		asking.Go(func() {
			id := ids[i%3]
			got, err := client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{
				Model: id, Messages: say("hello"), Seed: openai.Int(7), MaxTokens: openai.Int(12),
			})
			if err != nil || got.Model != id || got.Choices[0].Message.Content != want[id] {
				t.Errorf("%s: %v, %+v; want %q", id, err, got, want[id])
			}
		})
	}
	asking.Wait()
}

// TestSDKAdaptersEverywhere: not only chats go through a model's adapter.
func TestSDKAdaptersEverywhere(t *testing.T) {
	client := withAdapters(t).sdk()
	texts, vectors := map[string]bool{}, map[string]bool{}
	for _, id := range []string{"tiny", "one", "my:two"} {
		text, err := client.Completions.New(t.Context(), openai.CompletionNewParams{
			Model: openai.CompletionNewParamsModel(id), Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hello")},
			Seed: openai.Int(1), MaxTokens: openai.Int(12),
		})
		if err != nil {
			t.Fatal(err)
		}
		texts[text.Choices[0].Text] = true
		vector, err := client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{
			Model: id, Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("hello")},
		})
		if err != nil {
			t.Fatal(err)
		}
		vectors[fmt.Sprint(vector.Data[0].Embedding)] = true
		tokens := struct{ Model string }{}
		if err := client.Post(t.Context(), "tokenize", map[string]string{"model": id, "prompt": "hello"}, &tokens); err != nil || tokens.Model != id {
			t.Errorf("tokenize: %+v, %v", tokens, err)
		}
	}
	if len(texts) != 3 || len(vectors) != 3 {
		t.Errorf("three models give %d texts and %d vectors", len(texts), len(vectors))
	}
}

func TestCatalogRefusesNames(t *testing.T) {
	var c catalog
	good := []Model{{ID: "my base"}, {ID: "a"}, {ID: "ft:base:me::1.b_c-d"}}
	if err := c.set(good); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "a", "my base", "a/b", "..", "a b", "-a", "模型", strings.Repeat("a", 257)} {
		if err := c.set(append(good[:3:3], Model{ID: id})); err == nil {
			t.Errorf("a model may be called %q", id)
		}
	}
	if len(c.list()) != 3 || c.first().ID != "my base" || c.find("a") == nil || c.find("b") != nil {
		t.Errorf("refused models left %v", c.list())
	}
}
