// Package otlptest is a collector for tests: it receives traces as OTLP over
// HTTP, decoded by OpenTelemetry's own definition of the protocol.
package otlptest

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Receiver is a running collector.
type Receiver struct {
	URL string // the endpoint

	mu       sync.Mutex
	answers  []int // of the next requests; then 200
	requests []*http.Request
	received []*traces.ResourceSpans
}

// New starts a receiver that ends with the test. The first requests get the
// given answers.
func New(t *testing.T, answers ...int) *Receiver {
	r := &Receiver{answers: answers}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

// ServeHTTP receives spans.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
	if len(r.answers) > 0 {
		status := r.answers[0]
		r.answers = r.answers[1:]
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
	}
	if request.Method != http.MethodPost || request.URL.Path != "/v1/traces" || request.Header.Get("Content-Type") != "application/x-protobuf" {
		http.Error(w, "not OTLP", http.StatusBadRequest)
		return
	}
	message, err := decode(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.received = append(r.received, message.ResourceSpans...)
	body, err := proto.Marshal(&collector.ExportTraceServiceResponse{})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(body)
}

func decode(r *http.Request) (*collector.ExportTraceServiceRequest, error) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = unzipped
	}
	data, err := io.ReadAll(body)
	if err != nil {
		return nil, err
	}
	message := &collector.ExportTraceServiceRequest{}
	return message, proto.Unmarshal(data, message)
}

// Requests are those so far, the refused ones too.
func (r *Receiver) Requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// Spans are all that were received, in the order of their arrival.
func (r *Receiver) Spans() (spans []*traces.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range r.received {
		for _, scope := range resource.ScopeSpans {
			spans = append(spans, scope.Spans...)
		}
	}
	return spans
}

// Resource is what the spans come from.
func (r *Receiver) Resource() map[string]any {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.received) == 0 {
		return nil
	}
	return Attributes(r.received[0].Resource.Attributes)
}

// Attributes are key-value pairs as a map: strings, integers, or lists of
// strings.
func Attributes(pairs []*common.KeyValue) map[string]any {
	all := make(map[string]any)
	for _, p := range pairs {
		switch v := p.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			all[p.Key] = v.StringValue
		case *common.AnyValue_IntValue:
			all[p.Key] = v.IntValue
		case *common.AnyValue_ArrayValue:
			var list []string
			for _, e := range v.ArrayValue.Values {
				list = append(list, e.GetStringValue())
			}
			all[p.Key] = list
		}
	}
	return all
}
