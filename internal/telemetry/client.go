package telemetry

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// client posts spans to a collector, by the OTLP specification 1.9, section
// "OTLP/HTTP": binary protobuf, and again after a while when the collector says
// that it could not take them now.
type client struct {
	url     string
	headers http.Header
	gzip    bool
	timeout time.Duration // of one call, trying again included
	http    *http.Client
}

func newClient(endpoint string) (*client, error) {
	to, err := target(endpoint)
	if err != nil {
		return nil, err
	}
	c := &client{url: to, headers: http.Header{}, timeout: 10 * time.Second, http: &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}}
	for pair := range strings.SplitSeq(variable("HEADERS"), ",") {
		name, value, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if ok && err == nil {
			c.headers.Set(strings.TrimSpace(name), value)
		}
	}
	switch compression := variable("COMPRESSION"); compression {
	case "", "none":
	case "gzip":
		c.gzip = true
	default:
		return nil, fmt.Errorf("telemetry: the compression %q is not known (gzip and none are)", compression)
	}
	if protocol := variable("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		return nil, fmt.Errorf("telemetry: the protocol %q is not spoken here, only http/protobuf", protocol)
	}
	if text := variable("TIMEOUT"); text != "" {
		ms, err := strconv.Atoi(text)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("telemetry: the timeout %q is not a number of milliseconds", text)
		}
		c.timeout = time.Duration(ms) * time.Millisecond
	}
	return c, nil
}

// variable is a setting of exporters: that of traces, or that of all signals.
func variable(name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// Start has nothing to do: connections are made when they are needed.
func (c *client) Start(context.Context) error { return nil }

// Stop closes the connections.
func (c *client) Stop(context.Context) error {
	c.http.CloseIdleConnections()
	return nil
}

// UploadTraces sends spans.
func (c *client) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData is on the wire what the collector's ExportTraceServiceRequest
	// is, whose package would bring gRPC along.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encoding spans: %w", err)
	}
	if c.gzip {
		if body, err = compressed(body); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for wait := time.Second; ; wait *= 2 {
		after, err := c.post(ctx, body)
		if err == nil || after < 0 {
			return err
		}
		if after == 0 {
			after = wait/2 + rand.N(wait/2)
		}
		select {
		case <-time.After(after):
		case <-ctx.Done():
			return err
		}
	}
}

func compressed(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(body); err != nil {
		return nil, fmt.Errorf("compressing spans: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compressing spans: %w", err)
	}
	return b.Bytes(), nil
}

// post tries once. When that fails, after says how long to wait before the next
// time: 0 for as long as seems good, negative for never.
func (c *client) post(ctx context.Context, body []byte) (after time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return -1, err
	}
	r.Header = c.headers.Clone()
	r.Header.Set("Content-Type", "application/x-protobuf")
	if c.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	switch answer.StatusCode {
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, err
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		after = time.Duration(max(seconds, 0)) * time.Second
	default:
		after = -1
	}
	return after, fmt.Errorf("%s answers %s", r.URL.Redacted(), answer.Status)
}
