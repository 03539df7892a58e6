package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"causerie/api/store"
	"causerie/pipeline"
)

// fuzzedServer answers as any server does, but for the replies: how long they
// are is not what is looked for.
func fuzzedServer(t testing.TB) http.Handler {
	t.Helper()
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	memory, err := store.Open(context.Background(), store.Options{MaxBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := New(Options{Log: zerolog.Nop(), Store: memory})
	if err != nil {
		t.Fatal(err)
	}
	model := ModelOf("tiny", time.Now(), engine)
	model.Chatter = chatterFunc(func(_ context.Context, r pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		return pipeline.Reply{Text: "yes", FinishReason: pipeline.FinishStop, PromptTokens: len(r.Messages)}, emit(pipeline.Piece{Text: "yes"})
	})
	s.SetModel(model)
	return s.Handler()
}

// FuzzRequests sends any body and query to every endpoint. The answer must be
// well formed and not the server's fault.
func FuzzRequests(f *testing.F) {
	handler := fuzzedServer(f)
	paths := []string{
		"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/moderations", "/v1/tokenize", "/v1/detokenize",
		"/v1/count_tokens", "/v1/conversations", "/v1/chat/completions/x", "/v1/conversations/x", "/v1/conversations/x/items",
	}
	for i := range paths {
		f.Add(uint8(i), false, `{"messages":[{"role":"user","content":[{"type":"text","text":"hi"}]}],"stream":true,"store":true,"metadata":{"a":"b"}}`)
		f.Add(uint8(i), false, `{"prompt":[[1,2],"a"],"echo":true,"max_tokens":0,"n":2,"input":["a"],"tokens":[1]}`)
		f.Add(uint8(i), false, `{"items":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]}],"metadata":null}`)
		f.Add(uint8(i), true, `after=x&limit=3&order=asc&metadata[a]=b`)
	}
	f.Fuzz(func(t *testing.T, path uint8, query bool, input string) {
		target := paths[int(path)%len(paths)]
		var r *http.Request
		if query {
			r = httptest.NewRequest(http.MethodGet, target, nil)
			r.URL.RawQuery = input
		} else {
			r = httptest.NewRequest(http.MethodPost, target, strings.NewReader(input))
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusInsufficientStorage {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON: %s", target, w.Body)
		}
		if w.Code >= 400 {
			errorOf(t, w.Body.Bytes())
		}
	})
}
