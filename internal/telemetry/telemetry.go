package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
)

// Options say where traces go.
type Options struct {
	// Endpoint is the collector's address, such as http://127.0.0.1:4318;
	// traces go to /v1/traces below it.
	Endpoint string
	// Service and Version are what the traces say they come from, unless the
	// environment says otherwise.
	Service, Version string
	// Failed, if not nil, is told when traces cannot be sent, once until they
	// can be again.
	Failed func(error)
}

// Start makes a provider whose spans are sent in the background. Shut it down
// to send what is left.
func Start(ctx context.Context, o Options) (*sdktrace.TracerProvider, error) {
	c, err := newClient(o.Endpoint)
	if err != nil {
		return nil, err
	}
	exporter, err := otlptrace.New(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("telemetry: %w", err)
	}
	r, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName(o.Service), semconv.ServiceVersion(o.Version)),
		resource.WithHost(), resource.WithTelemetrySDK(), resource.WithFromEnv(),
	)
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, errors.Join(fmt.Errorf("telemetry: %w", err), exporter.Shutdown(ctx))
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&told{SpanExporter: exporter, failed: o.Failed}), sdktrace.WithResource(r),
	), nil
}

// target is where traces go for an endpoint.
func target(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("telemetry: the endpoint %q is not an address such as http://127.0.0.1:4318", endpoint)
	}
	return u.JoinPath("v1", "traces").String(), nil
}

// told tells of failures, where the SDK would only print them.
type told struct {
	sdktrace.SpanExporter
	failed  func(error)
	failing atomic.Bool
}

// ExportSpans sends spans; those that cannot be sent are lost.
func (t *told) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := t.SpanExporter.ExportSpans(ctx, spans)
	if was := t.failing.Swap(err != nil); err != nil && !was && t.failed != nil {
		t.failed(errors.New(strings.TrimPrefix(err.Error(), "traces export: ")))
	}
	return nil
}
