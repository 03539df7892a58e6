package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"causerie/pipeline"
)

// engineStats collects the figures of the engine that runs the server's model,
// when they are asked for: the engine counts them anyway.
type engineStats struct{ model func() *Model }

// engineFigure is one of the engine's figures.
type engineFigure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(pipeline.Stats) float64
}

func figure(kind prometheus.ValueType, name, help string, of func(pipeline.Stats) float64) engineFigure {
	return engineFigure{prometheus.NewDesc("causerie_"+name, help, nil, nil), kind, of}
}

const (
	gauge   = prometheus.GaugeValue
	counter = prometheus.CounterValue
)

var engineFigures = []engineFigure{
	figure(gauge, "replies_running", "Replies that are being written.", func(s pipeline.Stats) float64 { return float64(s.Running) }),
	figure(gauge, "replies_waiting", "Replies that wait for a place or for memory.", func(s pipeline.Stats) float64 { return float64(s.Waiting) }),
	figure(gauge, "kv_limit_bytes", "Memory that keys and values may take.", func(s pipeline.Stats) float64 { return float64(s.KVBytes) }),
	figure(gauge, "kv_used_bytes", "Memory of keys and values in use, of replies being written and of what is kept of earlier ones.",
		func(s pipeline.Stats) float64 { return float64(s.KVUsed) }),
	figure(gauge, "kv_cached_bytes", "Memory of keys and values kept for requests that begin alike.", func(s pipeline.Stats) float64 { return float64(s.KVCached) }),
	figure(counter, "steps_total", "Forward passes over a batch.", func(s pipeline.Stats) float64 { return float64(s.Steps) }),
	figure(counter, "prefix_tokens_total", "Tokens of prompts of replies that began.", func(s pipeline.Stats) float64 { return float64(s.PromptTokens) }),
	figure(counter, "prefix_cached_tokens_total", "Of these, tokens that needed no computing.", func(s pipeline.Stats) float64 { return float64(s.CachedTokens) }),
	figure(counter, "guessed_tokens_total", "Tokens of replies that were guessed ahead.", func(s pipeline.Stats) float64 { return float64(s.GuessedTokens) }),
	figure(counter, "guessed_right_tokens_total", "Guessed tokens that were right.", func(s pipeline.Stats) float64 { return float64(s.AcceptedTokens) }),
	figure(counter, "preemptions_total", "Replies that had to wait for memory half-way.", func(s pipeline.Stats) float64 { return float64(s.Preemptions) }),
}

// Describe names the figures.
func (engineStats) Describe(to chan<- *prometheus.Desc) {
	for _, f := range engineFigures {
		to <- f.desc
	}
}

// Collect takes them as of the engine's last step; before there is an engine
// there are none.
func (c engineStats) Collect(to chan<- prometheus.Metric) {
	m := c.model()
	if m == nil || m.Stats == nil {
		return
	}
	stats := m.Stats()
	for _, f := range engineFigures {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, f.of(stats))
	}
}
