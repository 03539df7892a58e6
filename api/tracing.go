package api

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// tracing makes a span of every request, named and described as OpenTelemetry's
// semantic conventions for HTTP servers and generative AI have it. A trace that
// the client began goes on (W3C Trace Context). nil traces nothing and
// allocates nothing.
type tracing struct{ tracer trace.Tracer }

func newTracing(p trace.TracerProvider) *tracing {
	if p == nil {
		return nil
	}
	return &tracing{p.Tracer("causerie/api", trace.WithSchemaURL(semconv.SchemaURL))}
}

// requestSpan is the span of a request; nil without tracing.
type requestSpan struct {
	tracer trace.Tracer
	span   trace.Span
}

// begin starts a request's span. What the handlers find out is added at its end.
func (t *tracing) begin(r *http.Request, id string) (*http.Request, *requestSpan) {
	if t == nil {
		return r, nil
	}
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, method(r), trace.WithSpanKind(trace.SpanKindServer))
	if span.IsRecording() {
		span.SetAttributes(semconv.HTTPResponseHeader("x-request-id", id))
		span.SetAttributes(httpAttributes(r)...)
	}
	return r.WithContext(ctx), &requestSpan{t.tracer, span}
}

// method is the request's, or what the conventions call one that clients can
// think up.
func method(r *http.Request) string {
	known := []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
	if slices.Contains(known, r.Method) {
		return r.Method
	}
	return "_OTHER"
}

// httpAttributes describe a request. Queries and headers, where secrets travel,
// are left out.
func httpAttributes(r *http.Request) []attribute.KeyValue {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	all := []attribute.KeyValue{
		semconv.HTTPRequestMethodKey.String(method(r)), semconv.URLPath(r.URL.Path), semconv.URLScheme(scheme),
		semconv.NetworkProtocolVersion(strings.TrimPrefix(r.Proto, "HTTP/")),
	}
	host, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	all = append(all, semconv.ServerAddress(host))
	if n, err := strconv.Atoi(port); err == nil {
		all = append(all, semconv.ServerPort(n))
	}
	if client, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		all = append(all, semconv.ClientAddress(client))
	}
	if agent := r.UserAgent(); agent != "" {
		all = append(all, semconv.UserAgentOriginal(agent))
	}
	return all
}

// log adds the trace to a request's line of the log.
func (s *requestSpan) log(line *zerolog.Event) *zerolog.Event {
	if s == nil || !s.span.SpanContext().IsValid() {
		return line
	}
	c := s.span.SpanContext()
	return line.Stringer("trace_id", c.TraceID()).Stringer("span_id", c.SpanID())
}

// end says how a request went and ends its span.
func (s *requestSpan) end(r *http.Request, n *requestNote) {
	if s == nil {
		return
	}
	defer s.span.End()
	if !s.span.IsRecording() {
		return
	}
	s.span.SetAttributes(semconv.HTTPResponseStatusCode(n.status))
	if n.route != "" {
		s.span.SetName(method(r) + " " + n.route)
		s.span.SetAttributes(semconv.HTTPRoute(n.route))
	}
	if n.status >= http.StatusBadRequest {
		s.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(n.status)))
	}
	if n.status >= http.StatusInternalServerError {
		s.span.SetStatus(codes.Error, http.StatusText(n.status))
	}
	if n.model == "" {
		return
	}
	s.span.SetAttributes(modelAttributes(n)...)
	for i, reply := range n.replies[:min(len(n.replies), maxTracedReplies)] {
		s.stages(r.Context(), i, reply)
	}
}

// operations are what the conventions call the routes that a model answers.
var operations = map[string]string{
	"/v1/chat/completions": "chat", "/v1/completions": "text_completion", "/v1/embeddings": "embeddings",
}

// modelAttributes describe what the model did. gen_ai.system is what
// gen_ai.provider.name was called before; there are still readers of it.
func modelAttributes(n *requestNote) []attribute.KeyValue {
	all := []attribute.KeyValue{
		attribute.String("gen_ai.system", "causerie"), semconv.GenAIProviderNameKey.String("causerie"),
		semconv.GenAIRequestModel(n.model), semconv.GenAIResponseModel(n.model),
		semconv.GenAIUsageInputTokens(n.prompt), semconv.GenAIUsageOutputTokens(n.complete),
	}
	if operation := operations[n.route]; operation != "" {
		all = append(all, semconv.GenAIOperationNameKey.String(operation))
	}
	if n.finish != "" {
		all = append(all, semconv.GenAIResponseFinishReasons(n.finish))
	}
	return all
}

// maxTracedReplies bounds the spans of a request with many replies.
const maxTracedReplies = 16

// stages makes the spans of a reply's stages, as far as it has come.
func (s *requestSpan) stages(ctx context.Context, index int, reply replyNote) {
	t, which := reply.times, attribute.Int("causerie.reply", index)
	s.stage(ctx, "queue", t.Queued, t.Begun, which)
	s.stage(ctx, "prefill", t.Begun, t.First, which, attribute.Int("causerie.tokens.cached", reply.cached))
	s.stage(ctx, decodeStage, t.First, t.Done, which, semconv.GenAIUsageOutputTokens(reply.written))
}

// decodeStage is the stage that begins with the first token.
const decodeStage = "decode"

// stage makes the span of a stage, if the reply has come to it. One whose end
// is not known was cut off.
func (s *requestSpan) stage(ctx context.Context, name string, from, to time.Time, a ...attribute.KeyValue) {
	if from.IsZero() {
		return
	}
	if to.IsZero() {
		to = time.Now()
	}
	_, span := s.tracer.Start(ctx, name, trace.WithTimestamp(from), trace.WithAttributes(a...))
	if name == decodeStage {
		span.AddEvent("first token", trace.WithTimestamp(from))
	}
	span.End(trace.WithTimestamp(to))
}
