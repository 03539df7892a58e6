package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"causerie/api/store"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/tokenizer"
	"causerie/pipeline"
)

// tinyModel is a real tokenizer and a real network with random weights: it talks
// nonsense, but always the same for the same seed.
func tinyModel() (*tokenizer.BPE, *gpt2.Model, error) {
	texts := slices.Values([]string{"hello there, how are you today?", "你好，今天天气很好。", "tell me a story about rain"})
	tok, err := tokenizer.TrainBPE(texts, tokenizer.TrainOptions{VocabSize: 300, Specials: dialogue.Specials()})
	if err != nil {
		return nil, nil, err
	}
	net, err := gpt2.New(gpt2.Config{VocabSize: tok.VocabSize(), Positions: 128, Width: 32, Heads: 2, Layers: 2})
	if err != nil {
		return nil, nil, err
	}
	net.Init(1)
	return tok, net, nil
}

// tinyEngine is a real engine over tinyModel.
var tinyEngine = sync.OnceValues(func() (*pipeline.Engine, error) {
	tok, net, err := tinyModel()
	if err != nil {
		return nil, err
	}
	return pipeline.NewEngine(pipeline.Model{
		Name: "tiny", Net: net, Tokenizer: tok, Template: dialogue.ForTokenizer(tok), Chat: pipeline.ChatDefaults(),
	}, pipeline.EngineOptions{Threads: 1})
})

// chatterFunc lets a test decide what the model does.
type chatterFunc func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error)

func (f chatterFunc) ChatN(ctx context.Context, r pipeline.ChatRequest, n int, emit func(pipeline.Piece) error) (replies []pipeline.Reply, err error) {
	for i := range n {
		reply, err := f(ctx, r, func(p pipeline.Piece) error {
			p.Index = i
			return emit(p)
		})
		replies = append(replies, reply)
		if err == nil {
			err = emit(pipeline.Piece{Index: i, FinishReason: reply.FinishReason})
		}
		if err != nil {
			return replies, err
		}
	}
	return replies, nil
}

// fixture is a server that a test talks to over a real connection.
type fixture struct {
	*Server
	http *httptest.Server
	log  *syncBuffer
}

func newFixture(t *testing.T, chatter Chatter) *fixture {
	t.Helper()
	f := &fixture{log: &syncBuffer{}}
	memory, err := store.Open(t.Context(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Server, err = New(Options{Log: zerolog.New(f.log), Store: memory}); err != nil {
		t.Fatal(err)
	}
	if chatter != nil {
		f.SetModel(Model{ID: "tiny", Created: time.Unix(1700000000, 0), Chatter: chatter, Defaults: pipeline.ChatDefaults()})
	}
	f.http = httptest.NewServer(checked(t, f.Handler()))
	t.Cleanup(func() {
		f.http.Close()
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func withEngine(t *testing.T) *fixture {
	t.Helper()
	engine, err := tinyEngine()
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, nil)
	f.SetModel(ModelOf("tiny", time.Unix(1700000000, 0), engine))
	return f
}

// post sends a body to the chat endpoint and returns status and answer.
func (f *fixture) post(t *testing.T, body string) (int, http.Header, []byte) {
	t.Helper()
	return f.do(t, http.MethodPost, "/v1/chat/completions", body)
}

func (f *fixture) do(t *testing.T, method, path, body string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, data
}

// errorOf reads OpenAI's error object.
func errorOf(t *testing.T, data []byte) (e struct {
	Message, Type string
	Param, Code   *string
}) {
	t.Helper()
	body := struct{ Error any }{&e}
	if err := json.Unmarshal(data, &body); err != nil || e.Message == "" || e.Type == "" {
		t.Fatalf("not an error object (%v): %s", err, data)
	}
	return e
}

// events splits a stream into the data of its events.
func events(t *testing.T, data []byte) []string {
	t.Helper()
	var out []string
	lines := bufio.NewScanner(bytes.NewReader(data))
	for lines.Scan() {
		switch line := lines.Text(); {
		case line == "":
		case strings.HasPrefix(line, "data: "):
			out = append(out, strings.TrimPrefix(line, "data: "))
		default:
			t.Fatalf("a line that is no event: %q", line)
		}
	}
	return out
}

// syncBuffer is a log that a test may read while the server writes.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
