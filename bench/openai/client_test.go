package openai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clientOf is a client of a server that answers with the handlers.
func clientOf(t *testing.T, o Options, routes map[string]http.HandlerFunc) *Client {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	server := httptest.NewServer(mux)
	c, err := New(server.URL+"/v1/", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		server.Close()
	})
	return c
}

// events answers with server-sent events, waiting before each.
func events(wait time.Duration, data ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice that a client leaves
		w.Header().Set("Content-Type", "text/event-stream")
		for _, d := range data {
			select {
			case <-r.Context().Done():
				return
			case <-time.After(wait):
			}
			fmt.Fprintf(w, "data: %s\n\n", d)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// body reads a request's fields.
func body(t *testing.T, r *http.Request) map[string]any {
	t.Helper()
	var fields map[string]any
	if err := json.NewDecoder(r.Body).Decode(&fields); err != nil {
		t.Error(err)
	}
	return fields
}

const (
	hello = `{"choices":[{"index":0,"text":"Hel"}]}`
	world = `{"choices":[{"index":0,"text":"lo"}]}`
	ended = `{"choices":[{"index":0,"text":"","finish_reason":"length"}]}`
	usage = `{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7}}`
	done  = `[DONE]`
)

func TestReply(t *testing.T) {
	const wait = 20 * time.Millisecond
	var sent map[string]any
	c := clientOf(t, Options{Model: "m", Key: "secret"}, map[string]http.HandlerFunc{
		"POST /v1/completions": func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer secret" {
				t.Errorf("Authorization: %q", got)
			}
			if _, ok := r.Header["Idempotency-Key"]; ok {
				t.Error("an empty Idempotency-Key was sent")
			}
			sent = body(t, r)
			events(wait, hello, world, ended, usage, done)(w, r)
		},
	})
	if err := c.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := c.Reply(t.Context(), Request{Prompt: "Say", MaxTokens: 9})
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != "Hello" || got.Finish != "length" || got.PromptTokens != 5 || got.Tokens != 7 {
		t.Errorf("got %+v", got)
	}
	if got.FirstToken < wait || got.Total < 3*wait || got.Total > got.FirstToken+time.Second {
		t.Errorf("first token after %s, all after %s, with %s between events", got.FirstToken, got.Total, wait)
	}
	if rate := 6 / (got.Total - got.FirstToken).Seconds(); got.Rate() != rate {
		t.Errorf("rate %v, want %v", got.Rate(), rate)
	}
	for name, want := range map[string]any{"model": "m", "prompt": "Say", "max_tokens": 9.0, "temperature": 0.0, "stream": true, "ignore_eos": true} {
		if sent[name] != want {
			t.Errorf("%s is %v, want %v", name, sent[name], want)
		}
	}
}

// TestServersThatDiffer: the client finds what each server can do.
func TestServersThatDiffer(t *testing.T) {
	models := func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"data":[{"id":"first"},{"id":"second"}]}`)
	}
	strict := func(next http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if b := body(t, r); b["ignore_eos"] != nil {
				http.Error(w, `{"error":{"message":"Unrecognized request argument supplied: ignore_eos"}}`, http.StatusBadRequest)
				return
			}
			next(w, r)
		}
	}
	chat := events(0, `{"choices":[{"delta":{"role":"assistant","content":""}}]}`, `{"choices":[{"delta":{"content":"Hi"}}]}`, done)
	for name, test := range map[string]struct {
		routes   map[string]http.HandlerFunc
		endpoint Endpoint
		model    string
		text     string
	}{
		"completions":             {map[string]http.HandlerFunc{"GET /v1/models": models, "/v1/completions": events(0, hello, done)}, Completions, "first", "Hel"},
		"chat only":               {map[string]http.HandlerFunc{"GET /v1/models": models, "/v1/chat/completions": chat}, Chat, "first", "Hi"},
		"no list of models":       {map[string]http.HandlerFunc{"/v1/completions": events(0, hello, done)}, Completions, "", "Hel"},
		"OpenAI's fields only":    {map[string]http.HandlerFunc{"/v1/completions": strict(events(0, hello, done))}, Completions, "", "Hel"},
		"chat, OpenAI's fields":   {map[string]http.HandlerFunc{"/v1/chat/completions": strict(chat)}, Chat, "", "Hi"},
		"carriage returns, names": {map[string]http.HandlerFunc{"/v1/completions": raw(": comment\r\nevent: x\r\ndata:" + hello + "\r\n\r\ndata: [DONE]\r\n\r\n")}, Completions, "", "Hel"},
	} {
		t.Run(name, func(t *testing.T) {
			c := clientOf(t, Options{}, test.routes)
			if err := c.Discover(t.Context()); err != nil {
				t.Fatal(err)
			}
			got, err := c.Reply(t.Context(), Request{Prompt: "x", MaxTokens: 1})
			if err != nil || got.Text != test.text || c.Endpoint() != test.endpoint || c.Model() != test.model {
				t.Errorf("%q from %s of %q, %v; want %q from %s of %q", got.Text, c.Endpoint(), c.Model(), err, test.text, test.endpoint, test.model)
			}
		})
	}
}

func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// TestConversation: turns go as messages or, where there are none, as one text.
func TestConversation(t *testing.T) {
	request := Request{Messages: []Message{{"user", "a"}, {"assistant", "b"}}, Prompt: "c", MaxTokens: 1}
	var sent map[string]any
	keep := func(w http.ResponseWriter, r *http.Request) {
		sent = body(t, r)
		events(0, done)(w, r)
	}
	for _, endpoint := range []Endpoint{Completions, Chat} {
		c := clientOf(t, Options{Model: "m"}, map[string]http.HandlerFunc{string(endpoint): keep})
		if err := c.Discover(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Reply(t.Context(), request); err != nil {
			t.Fatal(err)
		}
		if endpoint == Completions && sent["prompt"] != "abc" {
			t.Errorf("prompt %v", sent["prompt"])
		}
		if turns, _ := sent["messages"].([]any); endpoint == Chat && (len(turns) != 3 || fmt.Sprint(turns[2]) != "map[content:c role:user]") {
			t.Errorf("messages %v", turns)
		}
	}
	if len(request.Messages) != 2 {
		t.Errorf("the caller's messages became %v", request.Messages)
	}
}

// TestServersThatFail: each error says what happened and where.
func TestServersThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"OpenAI's form":   {status(429, `{"error":{"message":"too many","type":"x"}}`), "status 429: too many"},
		"plain form":      {status(500, `{"error":"no memory"}`), "status 500: no memory"},
		"text":            {status(502, "bad gateway\n"), "status 502: bad gateway"},
		"nothing":         {status(503, ""), "status 503: (no message)"},
		"cut off":         {events(0, hello), "cut off before its end"},
		"empty":           {events(0), "cut off before its end"},
		"not JSON":        {events(0, hello, "<html>"), "not JSON"},
		"error in stream": {events(0, hello, `{"error":{"message":"slot lost"}}`), "broke the reply off: slot lost"},
		"endless line":    {raw("data: " + strings.Repeat("x", maxEvent+1)), "too long"},
		"connection lost": {func(w http.ResponseWriter, r *http.Request) {
			events(0, hello)(w, r)
			panic(http.ErrAbortHandler)
		}, "cut off before its end"},
		"silence at first":     {events(time.Minute, hello), "silent for 200ms"},
		"silence in the midst": {func(w http.ResponseWriter, r *http.Request) { events(0, hello)(w, r); <-r.Context().Done() }, "silent for 200ms"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := clientOf(t, Options{Model: "m", Silence: 200 * time.Millisecond}, map[string]http.HandlerFunc{"/v1/chat/completions": test.handler})
			_, err := c.Reply(t.Context(), Request{Prompt: "x", MaxTokens: 1})
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "/v1/chat/completions") {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, text)
	}
}

func TestSlowIsNotSilent(t *testing.T) {
	c := clientOf(t, Options{Model: "m", Silence: 300 * time.Millisecond}, map[string]http.HandlerFunc{
		"/v1/chat/completions": events(100*time.Millisecond, hello, hello, hello, hello, hello, done),
	})
	if got, err := c.Reply(t.Context(), Request{Prompt: "x", MaxTokens: 5}); err != nil || got.Tokens != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestCancelled(t *testing.T) {
	c := clientOf(t, Options{Model: "m"}, map[string]http.HandlerFunc{"/v1/chat/completions": events(time.Minute, hello)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Reply(ctx, Request{Prompt: "x", MaxTokens: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestNoServer(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	url := server.URL
	server.Close()
	c, err := New(url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Discover(t.Context()); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
	for _, bad := range []string{"", "localhost:80", "ftp://x", "http://", "http://a b"} {
		if _, err := New(bad, Options{}); err == nil {
			t.Errorf("New(%q) took it", bad)
		}
	}
}

// TestIdleConnectionClosed: a server that closes idle connections at once
// costs a new connection, not an error.
func TestIdleConnectionClosed(t *testing.T) {
	server := httptest.NewUnstartedServer(events(0, hello, done))
	server.Config.IdleTimeout = time.Millisecond
	server.Start()
	defer server.Close()
	c, err := New(server.URL, Options{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 20 {
		if _, err := c.Reply(t.Context(), Request{Prompt: "x", MaxTokens: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestEmbed(t *testing.T) {
	answer := `{"data":[{"embedding":[1,2,3]},{"embedding":[4,5,6]}],"usage":{"prompt_tokens":11}}`
	c := clientOf(t, Options{Model: "m"}, map[string]http.HandlerFunc{"POST /v1/embeddings": func(w http.ResponseWriter, r *http.Request) {
		if got := fmt.Sprint(body(t, r)["input"]); got != "[a b]" && got != "[a b c]" {
			t.Errorf("input %s", got)
		}
		_, _ = io.WriteString(w, answer)
	}})
	got, err := c.Embed(t.Context(), []string{"a", "b"})
	if err != nil || got.Tokens != 11 || got.Width != 3 || got.Total <= 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := c.Embed(t.Context(), []string{"a", "b", "c"}); err == nil || !strings.Contains(err.Error(), "2 vectors for 3 texts") {
		t.Errorf("error %v", err)
	}
	answer = "<html>"
	if _, err := c.Embed(t.Context(), []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "/v1/embeddings") {
		t.Errorf("error %v", err)
	}
}

func FuzzReadStream(f *testing.F) {
	for _, seed := range []string{"data: " + hello + "\n\ndata: [DONE]\n\n", "data: {}\n\n", "event: x\ndata: [1]\n", "data: " + usage + "\n\ndata: [DONE]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		got, err := readStream(strings.NewReader(string(stream)), time.Now())
		if err == nil && (!strings.Contains(string(stream), "[DONE]") || got.FirstToken > got.Total || got.Rate() < 0) {
			t.Errorf("%q: %+v without an error", stream, got)
		}
	})
}
