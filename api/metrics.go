package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows. Every server has its own, so that tests do
// not meet in a global registry.
type metrics struct {
	registry  *prometheus.Registry
	running   prometheus.Gauge
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	tokens    *prometheus.CounterVec
	queued    *prometheus.HistogramVec
	first     *prometheus.HistogramVec
	perToken  *prometheus.HistogramVec
}

// newMetrics also shows the figures of the engine that runs the model, once there
// is one.
func newMetrics(model func() *Model) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "causerie_requests_running", Help: "Requests that are being answered, those that wait for the model included.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "causerie_requests_total", Help: "Requests answered; 499 is a client that left.",
		}, []string{"method", "route", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causerie_request_duration_seconds", Help: "Time from a request to the end of its answer.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18),
		}, []string{"route"}),
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "causerie_tokens_total", Help: "Tokens read (prompt) and written (completion), by model and API key.",
		}, []string{"model", "key", "kind"}),
		queued: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causerie_queue_time_seconds", Help: "Time that a reply waited for its place.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 18),
		}, []string{"model"}),
		first: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causerie_time_to_first_token_seconds", Help: "Time from a request to the first text of its reply.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"model"}),
		perToken: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "causerie_time_per_output_token_seconds", Help: "Time from the first text of a reply to its end, divided by the tokens after the first.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"model"}),
	}
	m.registry.MustRegister(m.running, m.requests, m.durations, m.tokens, m.queued, m.first, m.perToken, engineStats{model},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe counts a request that began at start and is over.
func (m *metrics) observe(r *http.Request, n *requestNote, start time.Time) {
	route, method := n.route, r.Method
	if route == "" {
		route, method = "none", "any" // of which clients can think of any number
	}
	now := time.Now()
	m.requests.WithLabelValues(method, route, strconv.Itoa(n.status)).Inc()
	m.durations.WithLabelValues(route).Observe(now.Sub(start).Seconds())
	if n.model == "" {
		return
	}
	m.tokens.WithLabelValues(n.model, n.key, "prompt").Add(float64(n.prompt))
	m.tokens.WithLabelValues(n.model, n.key, "completion").Add(float64(n.complete))
	for _, reply := range n.replies {
		if t := reply.times; !t.Begun.IsZero() {
			m.queued.WithLabelValues(n.model).Observe(t.Begun.Sub(t.Queued).Seconds())
		}
	}
	if n.first.IsZero() {
		return
	}
	m.first.WithLabelValues(n.model).Observe(n.first.Sub(start).Seconds())
	if n.complete > 1 {
		m.perToken.WithLabelValues(n.model).Observe(now.Sub(n.first).Seconds() / float64(n.complete-1))
	}
}

// routed notes the pattern of the route that a request took.
func routed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer note(r, func(n *requestNote) {
			if !n.lost {
				n.route = chi.RouteContext(r.Context()).RoutePattern()
			}
		})
		next.ServeHTTP(w, r)
	})
}

// handler answers GET /metrics in Prometheus's format.
func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
