package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"causerie/pipeline"
)

func TestHealthAndReadiness(t *testing.T) {
	f := newFixture(t, nil)
	get := func(path string) (int, string) {
		status, _, data := f.do(t, http.MethodGet, path, "")
		return status, string(data)
	}
	if status, body := get("/healthz"); status != http.StatusOK {
		t.Errorf("healthz: %d %s", status, body)
	}
	if status, body := get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "loading") {
		t.Errorf("readyz while loading: %d %s", status, body)
	}
	if status, _ := get("/v1/models"); status != http.StatusServiceUnavailable {
		t.Errorf("models while loading: %d", status)
	}
	status, header, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}]}`)
	if e := errorOf(t, data); status != http.StatusServiceUnavailable || *e.Code != "model_loading" || header.Get("Retry-After") == "" {
		t.Errorf("chat while loading: %d %s", status, data)
	}
	f.SetModel(Model{ID: "tiny", Created: time.Unix(1700000000, 0)})
	if status, body := get("/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d %s", status, body)
	}
	if _, body := get("/v1/models"); !strings.Contains(body, `{"id":"tiny","object":"model","created":1700000000,"owned_by":"causerie"}`) {
		t.Errorf("models: %s", body)
	}
	if status, body := get("/v1/models/tiny"); status != http.StatusOK || !strings.Contains(body, `"id":"tiny"`) {
		t.Errorf("the model: %d %s", status, body)
	}
	if status, _ := get("/v1/models/other"); status != http.StatusNotFound {
		t.Errorf("another model: %d", status)
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	f := withEngine(t)
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{http.MethodGet, "/", http.StatusNotFound, ""},
		{http.MethodPost, "/v1/audio/speech", http.StatusNotFound, ""},
		{http.MethodPut, "/v1/chat/completions", http.StatusMethodNotAllowed, "GET, POST"},
		{http.MethodTrace, "/v1/conversations/x/items/y", http.StatusMethodNotAllowed, "GET, DELETE"},
		{http.MethodDelete, "/v1/models", http.StatusMethodNotAllowed, "GET"},
	} {
		status, header, data := f.do(t, c.method, c.path, "")
		if errorOf(t, data); status != c.status || header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, allows %q; want %d, %q", c.method, c.path, status, header.Get("Allow"), c.status, c.allow)
		}
	}
}

func TestAPanicFailsOneRequestOnly(t *testing.T) {
	calls := 0
	f := newFixture(t, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		if calls++; calls == 1 {
			panic("a bug")
		}
		return pipeline.Reply{Text: "fine", FinishReason: pipeline.FinishStop}, nil
	}))
	body := `{"messages":[{"role":"user","content":"hi"}]}`
	status, _, data := f.post(t, body)
	if e := errorOf(t, data); status != http.StatusInternalServerError || strings.Contains(e.Message, "a bug") {
		t.Errorf("status %d: %s", status, data)
	}
	if status, _, data := f.post(t, body); status != http.StatusOK {
		t.Errorf("the next request: %d %s", status, data)
	}
	if !strings.Contains(f.log.String(), "a bug") {
		t.Error("the panic is not in the log")
	}
}

func TestLogHasNoTextUnlessAsked(t *testing.T) {
	for _, withText := range []bool{false, true} {
		f := withEngine(t)
		f.options.LogText = withText
		log := &syncBuffer{}
		f.options.Log = zerolog.New(log)
		f.http.Config.Handler = f.Handler()
		f.post(t, `{"messages":[{"role":"user","content":"my secret wish"}],"seed":1}`)
		f.http.Close() // waits for the handler and its log line
		line := log.String()
		if strings.Contains(line, "my secret wish") != withText {
			t.Errorf("with text %v the log says %s", withText, line)
		}
		for _, want := range []string{`"status":200`, `"model":"tiny"`, `"prompt_tokens":`, `"request_id":`, `"ms":`} {
			if !strings.Contains(line, want) {
				t.Errorf("the log lacks %s: %s", want, line)
			}
		}
		if strings.Count(line, "\n") != 1 {
			t.Errorf("one request, but the log says %s", line)
		}
	}
}

// serve runs a server whose replies wait for release, and returns its address
// and a function that asks it to stop and waits.
func serve(t *testing.T, o Options, chatter Chatter) (url string, stop func() error) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.SetModel(Model{ID: "tiny", Chatter: chatter})
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	return "http://" + listener.Addr().String(), func() error {
		cancel()
		return <-done
	}
}

func TestStoppingLetsRepliesFinish(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	running, release := make(chan struct{}), make(chan struct{})
	url, stop := serve(t, Options{Log: zerolog.Nop()}, chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, _ func(pipeline.Piece) error) (pipeline.Reply, error) {
		close(running)
		select {
		case <-release:
			return pipeline.Reply{Text: "at last", FinishReason: pipeline.FinishStop}, nil
		case <-ctx.Done():
			return pipeline.Reply{}, ctx.Err()
		}
	}))
	answer := ask(t, url)
	<-running
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("stopped with a reply under way: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
	if got := <-answer; !strings.Contains(got, "at last") {
		t.Errorf("the reply under way became %q", got)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestStoppingCutsOffWhatTakesTooLong(t *testing.T) {
	running := make(chan struct{})
	url, stop := serve(t, Options{Log: zerolog.Nop(), Drain: 50 * time.Millisecond}, chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, _ func(pipeline.Piece) error) (pipeline.Reply, error) {
		close(running)
		<-ctx.Done()
		return pipeline.Reply{}, ctx.Err()
	}))
	answer := ask(t, url)
	<-running
	if err := stop(); err != nil {
		t.Errorf("stopping: %v", err)
	}
	<-answer
}

// ask posts a message in the background and delivers the answer's body.
func ask(t *testing.T, url string) <-chan string {
	t.Helper()
	answer := make(chan string, 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions",
		strings.NewReader(`{"messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			answer <- err.Error()
			return
		}
		answer <- string(data)
	}()
	return answer
}

// TestStoppingTakesNothingNew refuses requests that come on connections that
// are open, and runs what wants to be told.
func TestStoppingTakesNothingNew(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	var stopped error
	url, stop := serve(t, Options{Log: zerolog.Nop(), Stopping: func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("no deadline")
		}
		close(release)
		return errNotSaved
	}}, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		close(running)
		<-release
		return pipeline.Reply{Text: "at last", FinishReason: pipeline.FinishStop}, nil
	}))
	answer := ask(t, url)
	<-running
	stopped = stop()
	if !errors.Is(stopped, errNotSaved) || !strings.Contains(<-answer, "at last") {
		t.Errorf("stopped with %v", stopped)
	}
	f := withEngine(t)
	f.stopping.Store(true)
	status, header, data := f.post(t, `{"messages":[{"role":"user","content":"hello"}]}`)
	if e := errorOf(t, data); status != http.StatusServiceUnavailable || *e.Code != "shutting_down" || header.Get("Retry-After") == "" {
		t.Errorf("%d %v %s", status, header, data)
	}
	if status, _, _ := f.do(t, http.MethodGet, "/healthz", ""); status != http.StatusOK {
		t.Errorf("healthz: %d", status)
	}
}

var errNotSaved = errors.New("not saved")
