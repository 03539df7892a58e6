// Package telemetry sends traces to an OpenTelemetry collector, as OTLP over
// HTTP. gRPC is left out on purpose: it would add more to the program than all
// the rest of OpenTelemetry.
//
// What the specification has environment variables for is read from them:
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER,
// OTEL_BSP_*, and of OTEL_EXPORTER_OTLP_ and OTEL_EXPORTER_OTLP_TRACES_ the
// variables HEADERS, TIMEOUT and COMPRESSION.
package telemetry
