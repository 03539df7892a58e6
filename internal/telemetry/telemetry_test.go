package telemetry

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"causerie/internal/telemetry/otlptest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"), goleak.IgnoreTopFunction("net/http.(*persistConn).writeLoop"))
}

// send makes a span and returns what went wrong in sending it.
func send(t *testing.T, endpoint string) (failures []string) {
	t.Helper()
	var mu sync.Mutex
	p, err := Start(t.Context(), Options{Endpoint: endpoint, Service: "tests", Version: "v0", Failed: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		failures = append(failures, err.Error())
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, span := p.Tracer("here").Start(t.Context(), "work", trace.WithAttributes(attribute.Int("n", 7)))
	span.End()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	return failures
}

func TestSend(t *testing.T) {
	for name, compression := range map[string]string{"plain": "", "gzip": "gzip"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20abc, x-tenant = 5")
			t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
			r := otlptest.New(t)
			if failures := send(t, r.URL); failures != nil {
				t.Error(failures)
			}
			spans := r.Spans()
			if len(spans) != 1 || spans[0].Name != "work" || otlptest.Attributes(spans[0].Attributes)["n"] != int64(7) {
				t.Fatalf("received %v", spans)
			}
			if from := r.Resource(); from["service.name"] != "tests" || from["service.version"] != "v0" || from["deployment.environment.name"] != "lab" {
				t.Errorf("from %v", from)
			}
			h := r.Requests()[0].Header
			if h.Get("Authorization") != "Bearer abc" || h.Get("X-Tenant") != "5" || h.Get("Content-Encoding") != compression {
				t.Errorf("headers %v", h)
			}
		})
	}
}

// TestSendAgain tries again when the collector may take spans later, and only
// then.
func TestSendAgain(t *testing.T) {
	for _, test := range []struct {
		answers  []int
		requests int
		spans    int
		failure  string
	}{
		{[]int{http.StatusServiceUnavailable}, 2, 1, ""},
		{[]int{http.StatusBadRequest}, 1, 0, "answers 400 Bad Request"},
		{[]int{http.StatusUnauthorized}, 1, 0, "answers 401 Unauthorized"},
	} {
		r := otlptest.New(t, test.answers...)
		failures := strings.Join(send(t, r.URL), "; ")
		if len(r.Requests()) != test.requests || len(r.Spans()) != test.spans || !strings.Contains(failures, test.failure) || test.failure == "" && failures != "" {
			t.Errorf("%v: %d requests, %d spans, failures %q", test.answers, len(r.Requests()), len(r.Spans()), failures)
		}
	}
}

// TestNobodyListens gives up in time and says so once.
func TestNobodyListens(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "100")
	if failures := send(t, "http://127.0.0.1:1"); len(failures) != 1 || !strings.Contains(failures[0], "127.0.0.1:1") {
		t.Errorf("failures %q", failures)
	}
}

func TestBadSettings(t *testing.T) {
	for _, test := range []struct{ endpoint, name, value, want string }{
		{"127.0.0.1:4318", "", "", `the endpoint "127.0.0.1:4318" is not an address`},
		{"grpc://127.0.0.1:4317", "", "", "is not an address"},
		{"http://", "", "", "is not an address"},
		{"http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", `the protocol "grpc" is not spoken here`},
		{"http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_TIMEOUT", "soon", `the timeout "soon"`},
		{"http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_COMPRESSION", "zstd", `the compression "zstd"`},
	} {
		t.Run(test.want, func(t *testing.T) {
			if test.name != "" {
				t.Setenv(test.name, test.value)
			}
			if _, err := Start(t.Context(), Options{Endpoint: test.endpoint}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
