package load

import (
	"context"
	"fmt"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// watch reads what a server says of itself at /metrics.
type watch struct {
	url, key string
	http     *http.Client
}

func newWatch(url, key string) *watch {
	return &watch{url: base(url) + "/metrics", key: key, http: &http.Client{
		Transport: &http.Transport{DisableCompression: true}, Timeout: 10 * time.Second,
	}}
}

func (w *watch) close() { w.http.CloseIdleConnections() }

// sample reads the figures; those that a server does not give are 0.
func (w *watch) sample(ctx context.Context) Sample {
	s, err := w.read(ctx)
	if err != nil {
		return Sample{}
	}
	return s
}

func (w *watch) read(ctx context.Context) (Sample, error) {
	response, err := get(ctx, w.http, w.url, w.key)
	if err != nil {
		return Sample{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Sample{}, fmt.Errorf("/metrics answers %s", response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return Sample{}, fmt.Errorf("/metrics: %w", err)
	}
	return Sample{
		Resident: int64(value(families["process_resident_memory_bytes"])), Heap: int64(value(families["go_memstats_heap_inuse_bytes"])),
		Goroutines: int(value(families["go_goroutines"])), Files: int(value(families["process_open_fds"])),
	}, nil
}

// value is that of a family with one metric.
func value(f *dto.MetricFamily) float64 {
	if f == nil || len(f.Metric) == 0 {
		return 0
	}
	if g := f.Metric[0].GetGauge(); g != nil {
		return g.GetValue()
	}
	return f.Metric[0].GetCounter().GetValue()
}

// rest notes the server's figures before anything is asked of it.
func (w *watch) rest(ctx context.Context, s *Server) {
	sample, err := w.read(ctx)
	if err != nil {
		s.Unknown = err.Error()
		return
	}
	s.Before = sample
}

// settle is how long a server may take until its goroutines have ended.
const settle = 10 * time.Second

// after waits until the server is as it was before, or for settle, and notes
// its figures.
func (w *watch) after(ctx context.Context, s *Server) {
	if s.Unknown != "" || ctx.Err() != nil {
		return
	}
	w.http.CloseIdleConnections()
	for end := time.Now().Add(settle); ; {
		s.After = w.sample(ctx)
		if s.leftGoroutines() <= 0 || time.Now().After(end) || !pause(ctx, 200*time.Millisecond) {
			return
		}
	}
}
