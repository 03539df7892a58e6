package api

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
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

// withAdapters is a server with the tiny model and two adapters, "one" of the
// operator's, and "ft:two" that a client of the owner had made.
func withAdapters(t *testing.T, owner string, set func(*Options)) *fixture {
	t.Helper()
	f := withOptions(t, set)
	base := *f.catalog.first()
	one := base.Adapted("one", time.Unix(1700000001, 0), tinyAdapter(t, 1))
	two := base.Adapted("ft:two", time.Unix(1700000002, 0), tinyAdapter(t, 2))
	two.Tuned = &Tuned{Owner: owner, Delete: func(context.Context) error { return nil }}
	for _, m := range []Model{two, one} {
		if err := f.AddModel(m); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestSDKModelsByName(t *testing.T) {
	f := withAdapters(t, "", func(*Options) {})
	client := f.sdk()
	page, err := client.Models.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, m := range page.Data {
		ids = append(ids, m.ID)
	}
	if diff := cmp.Diff([]string{"tiny", "one", "ft:two"}, ids); diff != "" {
		t.Error(diff)
	}
	if m, err := client.Models.Get(t.Context(), "ft:two"); err != nil || m.Created != 1700000002 {
		t.Errorf("%+v: %v", m, err)
	}
	// All of them at once, each as the engine has it alone.
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, m := range f.catalog.list("") {
		o := m.Defaults
		o.MaxTokens, o.WholeSentences, o.Seed = 12, false, new(uint64(7))
		reply, err := engine.Chat(t.Context(), pipeline.ChatRequest{Messages: []dialogue.Turn{dialogue.User("hello")}, Options: o}, nil)
		if err != nil {
			t.Fatal(err)
		}
		want[m.ID] = reply.Text
	}
	if want["tiny"] == want["one"] || want["one"] == want["ft:two"] {
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
	client := withAdapters(t, "", func(*Options) {}).sdk()
	texts, vectors := map[string]bool{}, map[string]bool{}
	for _, id := range []string{"tiny", "one", "ft:two"} {
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

func TestSDKDeleteModel(t *testing.T) {
	f := withAdapters(t, "", func(*Options) {})
	client := f.sdk()
	for _, id := range []string{"tiny", "one"} {
		_, err := client.Models.Delete(t.Context(), id)
		wantSDKError(t, err, http.StatusForbidden, "model_not_deletable", "model")
	}
	// What cannot be removed stays served.
	broken := errors.New("the disk is on fire")
	two, _ := f.catalog.find("", "ft:two")
	two.Tuned.Delete = func(context.Context) error { return broken }
	_, err := client.Models.Delete(t.Context(), "ft:two")
	wantSDKStatus(t, err, http.StatusInternalServerError)
	if !strings.Contains(f.log.String(), broken.Error()) {
		t.Error("the log does not say why")
	}
	two.Tuned.Delete = func(context.Context) error { return nil }
	gone, err := client.Models.Delete(t.Context(), "ft:two")
	if err != nil || !gone.Deleted || gone.ID != "ft:two" || gone.Object != "model" {
		t.Errorf("%+v: %v", gone, err)
	}
	_, err = client.Models.Delete(t.Context(), "ft:two")
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
	_, err = client.Chat.Completions.New(t.Context(), openai.ChatCompletionNewParams{Model: "ft:two", Messages: say("hi")})
	wantSDKError(t, err, http.StatusNotFound, "model_not_found", "model")
}

// wantSDKStatus is wantSDKError for the server's own failures.
func wantSDKStatus(t *testing.T, err error, status int) {
	t.Helper()
	if e, ok := errors.AsType[*openai.Error](err); !ok || e.StatusCode != status {
		t.Errorf("%v, want status %d", err, status)
	}
}

// TestModelRemovedWhileItReplies: the request goes on to its end.
func TestModelRemovedWhileItReplies(t *testing.T) {
	f := withAdapters(t, "", func(*Options) {})
	client := f.sdk()
	params := openai.ChatCompletionNewParams{Model: "ft:two", Messages: say("hello"), Seed: openai.Int(3), MaxTokens: openai.Int(60)}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var all openai.ChatCompletionAccumulator
	for i := 0; stream.Next(); i++ {
		if i == 0 {
			if _, err := client.Models.Delete(t.Context(), "ft:two"); err != nil {
				t.Fatal(err)
			}
		}
		all.AddChunk(stream.Current())
	}
	if err := stream.Err(); err != nil || all.Choices[0].Message.Content != whole.Choices[0].Message.Content {
		t.Errorf("%v: %q, want %q", err, all.Choices[0].Message.Content, whole.Choices[0].Message.Content)
	}
}

// TestModelsOfOthers: a model that one owner had made is nothing to another,
// and deleting takes the scope.
func TestModelsOfOthers(t *testing.T) {
	f := withAdapters(t, "ann", func(o *Options) { o.Auth = true })
	_, mine := f.newKey(t, "ann", ScopeChat, ScopeFinetune)
	_, weak := f.newKey(t, "ann", ScopeChat)
	_, other := f.newKey(t, "bob", ScopeAdmin)
	for _, c := range []struct {
		key, method, path, body string
		status                  int
	}{
		{mine, http.MethodGet, "/v1/models/ft:two", "", http.StatusOK},
		{mine, http.MethodPost, "/v1/chat/completions", `{"model":"ft:two","messages":[{"role":"user","content":"hi"}],"max_tokens":1}`, http.StatusOK},
		{other, http.MethodGet, "/v1/models/one", "", http.StatusOK},
		{other, http.MethodGet, "/v1/models/ft:two", "", http.StatusNotFound},
		{other, http.MethodPost, "/v1/chat/completions", `{"model":"ft:two","messages":[{"role":"user","content":"hi"}]}`, http.StatusNotFound},
		{other, http.MethodDelete, "/v1/models/ft:two", "", http.StatusNotFound},
		{weak, http.MethodDelete, "/v1/models/ft:two", "", http.StatusForbidden},
		{mine, http.MethodDelete, "/v1/models/ft:two", "", http.StatusOK},
	} {
		list := func(key string) string {
			_, _, data := f.request(t, http.MethodGet, "/v1/models", "", "Authorization", "Bearer "+key)
			return string(data)
		}
		if strings.Contains(list(other), "ft:two") || !strings.Contains(list(weak), `"ft:two","object":"model","created":1700000002,"owned_by":"ann"`) {
			t.Errorf("lists: %s and %s", list(other), list(weak))
		}
		status, _, data := f.request(t, c.method, c.path, c.body, "Authorization", "Bearer "+c.key)
		if status != c.status || c.key == other && strings.Contains(string(data), `serves "tiny", "one", "ft:two"`) {
			t.Errorf("%s %s: %d %s, want %d", c.method, c.path, status, data, c.status)
		}
	}
}

func TestCatalogRefusesNames(t *testing.T) {
	var c catalog
	if err := c.set(Model{ID: "base"}, []Model{{ID: "a"}, {ID: "ft:base:me::1.b_c-d"}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "a", "base", "a/b", "..", "a b", "-a", "模型", strings.Repeat("a", 257)} {
		if err := c.add(&Model{ID: id}); err == nil {
			t.Errorf("a model may be called %q", id)
		}
	}
	if err := c.set(Model{ID: "base"}, []Model{{ID: "b"}, {ID: "a"}}); err == nil {
		t.Error("two models are called a")
	}
	if err := c.set(Model{ID: "a"}, nil); err == nil {
		t.Error("the first model may have a taken name")
	}
	if got := len(c.list("")); got != 3 {
		t.Errorf("refused models left %d", got)
	}
}

// TestCatalogAtOnce adds, lists, finds and removes from many goroutines.
func TestCatalogAtOnce(t *testing.T) {
	var c catalog
	if err := c.set(Model{ID: "base"}, nil); err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for i := range 8 {
		working.Go(func() {
			id := fmt.Sprintf("m%d", i)
			for range 200 {
				if err := c.add(&Model{ID: id}); err != nil {
					t.Error(err)
				}
				if _, ok := c.find("", id); !ok || !slices.ContainsFunc(c.list(""), func(m *Model) bool { return m.ID == id }) {
					t.Errorf("%s is not there", id)
				}
				if !c.remove(id) {
					t.Errorf("%s was not there", id)
				}
			}
		})
	}
	working.Wait()
	if got := len(c.list("")); got != 1 {
		t.Errorf("%d models are left", got)
	}
}
