package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"causerie/pipeline"
)

// withTracer is withEngine with a server whose spans are kept in memory.
func withTracer(t *testing.T, set func(*Options)) (*fixture, func(n int) tracetest.SpanStubs) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(kept))
	t.Cleanup(func() {
		if err := provider.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	f := withOptions(t, func(o *Options) {
		o.Tracer = provider
		if set != nil {
			set(o)
		}
	})
	return f, func(n int) tracetest.SpanStubs {
		t.Helper()
		for range 200 { // spans end a moment after the answer
			if spans := kept.GetSpans(); len(spans) >= n {
				kept.Reset()
				return spans
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("%d spans, not %d: %v", len(kept.GetSpans()), n, kept.GetSpans())
		return nil
	}
}

// said are a span's attributes.
func said(s tracetest.SpanStub) map[string]any {
	all := make(map[string]any)
	for _, a := range s.Attributes {
		all[string(a.Key)] = a.Value.AsInterface()
	}
	return all
}

const (
	clientTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	clientSpan  = "00f067aa0ba902b7"
)

func TestTraces(t *testing.T) {
	f, spans := withTracer(t, nil)
	status, header, data := f.request(t, http.MethodPost, "/v1/chat/completions?secret=1",
		`{"model":"tiny","messages":[{"role":"user","content":"hello"}],"max_tokens":6,"n":2,"stream":true}`,
		"traceparent", "00-"+clientTrace+"-"+clientSpan+"-01", "Authorization", "Bearer hush")
	if status != http.StatusOK {
		t.Fatalf("%d %s", status, data)
	}
	all := spans(7)
	i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Parent.SpanID().String() == clientSpan })
	if i < 0 {
		t.Fatalf("no span goes on with the client's: %v", all)
	}
	request := all[i]
	if request.Name != "POST /v1/chat/completions" || request.SpanContext.TraceID().String() != clientTrace || request.SpanKind.String() != "server" {
		t.Errorf("%s, %s, %s", request.Name, request.SpanContext.TraceID(), request.SpanKind)
	}
	got := said(request)
	for key, want := range map[string]any{
		"http.request.method": "POST", "http.route": "/v1/chat/completions", "url.path": "/v1/chat/completions", "url.scheme": "http",
		"http.response.status_code": int64(200), "server.address": "127.0.0.1", "client.address": "127.0.0.1",
		"gen_ai.system": "causerie", "gen_ai.provider.name": "causerie", "gen_ai.operation.name": "chat",
		"gen_ai.request.model": "tiny", "gen_ai.response.model": "tiny",
	} {
		if got[key] != want {
			t.Errorf("%s is %v, not %v", key, got[key], want)
		}
	}
	if ids, _ := got["http.response.header.x-request-id"].([]string); !slices.Equal(ids, []string{header.Get("X-Request-Id")}) {
		t.Errorf("request id %v, not %s", ids, header.Get("X-Request-Id"))
	}
	if prompt, _ := got["gen_ai.usage.input_tokens"].(int64); prompt < 2 || got["gen_ai.usage.output_tokens"].(int64) < 2 {
		t.Errorf("tokens %v and %v", got["gen_ai.usage.input_tokens"], got["gen_ai.usage.output_tokens"])
	}
	for key, value := range got {
		if s, ok := value.(string); ok && (strings.Contains(s, "secret") || strings.Contains(s, "hush")) {
			t.Errorf("a secret in %s: %q", key, s)
		}
	}
	stages(t, request, all)
}

// stages holds the spans below a request's to the order of a reply's stages.
func stages(t *testing.T, request tracetest.SpanStub, all tracetest.SpanStubs) {
	t.Helper()
	byReply := map[any]map[string]tracetest.SpanStub{}
	for _, s := range all {
		if s.Parent.SpanID() == request.SpanContext.SpanID() {
			reply := said(s)["causerie.reply"]
			if byReply[reply] == nil {
				byReply[reply] = map[string]tracetest.SpanStub{}
			}
			byReply[reply][s.Name] = s
		}
	}
	if len(byReply) != 2 {
		t.Fatalf("the stages of %d replies", len(byReply))
	}
	for reply, s := range byReply {
		queue, prefill, decode := s["queue"], s["prefill"], s["decode"]
		at := []time.Time{request.StartTime, queue.StartTime, queue.EndTime, prefill.EndTime, decode.EndTime, request.EndTime}
		if !slices.IsSortedFunc(at, time.Time.Compare) || !prefill.StartTime.Equal(queue.EndTime) || !decode.StartTime.Equal(prefill.EndTime) {
			t.Errorf("reply %v: %v", reply, at)
		}
		if len(decode.Events) != 1 || decode.Events[0].Name != "first token" || !decode.Events[0].Time.Equal(prefill.EndTime) {
			t.Errorf("reply %v: events %v", reply, decode.Events)
		}
	}
}

func TestTracesOfFailures(t *testing.T) {
	var log syncBuffer
	f, spans := withTracer(t, func(o *Options) { o.Log = zerolog.New(&log) })
	for _, c := range []struct {
		method, path, body string
		name               string
		status             int64
	}{
		{http.MethodPost, "/v1/chat/completions", `{"messages":[]}`, "POST /v1/chat/completions", 400},
		{http.MethodGet, "/nothing/here", "", "GET", 404},
		{http.MethodGet, "/v1/models/other", "", "GET /v1/models/{model}", 404},
	} {
		f.do(t, c.method, c.path, c.body)
		s := spans(1)[0]
		if s.Name != c.name || said(s)["http.response.status_code"] != c.status || s.Status.Code.String() != "Unset" || !s.SpanContext.IsValid() || s.Parent.IsValid() {
			t.Errorf("%s: %s, %v, %v", c.path, s.Name, said(s), s.Status)
		}
		last := log.String()[strings.LastIndex(strings.TrimSpace(log.String()), "\n")+1:]
		var line struct {
			Trace string `json:"trace_id"`
			Span  string `json:"span_id"`
		}
		for range 200 { // the line comes after the span
			last = log.String()[strings.LastIndex(strings.TrimSpace(log.String()), "\n")+1:]
			if json.Unmarshal([]byte(last), &line) == nil && line.Span == s.SpanContext.SpanID().String() {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		if line.Trace != s.SpanContext.TraceID().String() || line.Span != s.SpanContext.SpanID().String() {
			t.Errorf("the log says %s", last)
		}
	}
	loose := chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		return pipeline.Reply{}, errors.New("a wire came loose")
	})
	if err := f.SetModel(Model{ID: "tiny", Chatter: loose}); err != nil {
		t.Fatal(err)
	}
	f.post(t, `{"messages":[{"role":"user","content":"hello"}]}`)
	if s := spans(1)[0]; s.Status.Code.String() != "Error" || said(s)["error.type"] != "500" {
		t.Errorf("%v, %v", s.Status, said(s))
	}
	// A client that samples nothing has nothing sampled here.
	f.request(t, http.MethodGet, "/healthz", "", "traceparent", "00-"+clientTrace+"-"+clientSpan+"-00")
	f.request(t, http.MethodGet, "/readyz", "")
	if s := spans(1); len(s) != 1 || s[0].Name != "GET /readyz" {
		t.Errorf("%v", s)
	}
}

// TestTracingOff allocates nothing and calls nothing.
func TestTracingOff(t *testing.T) {
	s := withEngine(t).Server
	if s.tracing != nil {
		t.Fatal("there is tracing without a tracer")
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/chat/completions", nil)
	n := &requestNote{model: "tiny", route: "/v1/chat/completions", status: 200, replies: make([]replyNote, 2)}
	log := zerolog.Nop()
	if allocated := testing.AllocsPerRun(100, func() {
		r, span := s.tracing.begin(r, "req_1")
		span.end(r, n)
		span.log(log.Info())
	}); allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}
