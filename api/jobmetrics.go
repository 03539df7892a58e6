package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"causerie/finetune/jobs"
)

// jobMetrics are the fine-tuning jobs as /metrics shows them, counted when it
// is asked.
type jobMetrics struct {
	service *jobs.Service
	log     zerolog.Logger
}

// Of jobs that train, each a series; the others are only counted.
var (
	jobsDesc = prometheus.NewDesc("causerie_finetuning_jobs", "Fine-tuning jobs by status.", []string{"status"}, nil)
	stepDesc = prometheus.NewDesc("causerie_finetuning_step", "Optimizer steps that a running job has taken.", []string{"job"}, nil)
	allDesc  = prometheus.NewDesc("causerie_finetuning_steps", "Optimizer steps that a running job will take.", []string{"job"}, nil)
	lossDesc = prometheus.NewDesc("causerie_finetuning_loss", "Loss of a running job in nats a token, on its training data (train) or on others (valid).",
		[]string{"job", "data"}, nil)
)

// Describe names the figures.
func (m jobMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobsDesc, stepDesc, allDesc, lossDesc} {
		to <- d
	}
}

// statsTime is how long the count may take.
const statsTime = 5 * time.Second

// Collect counts.
func (m jobMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), statsTime)
	defer cancel()
	stats, err := m.service.Stats(ctx)
	if err != nil {
		m.log.Error().Err(err).Msg("counting fine-tuning jobs")
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for status, n := range stats.Jobs {
		gauge(jobsDesc, float64(n), string(status))
	}
	for _, p := range stats.Running {
		gauge(stepDesc, float64(p.Step), p.Job)
		gauge(allDesc, float64(p.Steps), p.Job)
		for data, loss := range map[string]*float64{"train": p.TrainLoss, "valid": p.ValidLoss} {
			if loss != nil {
				gauge(lossDesc, *loss, p.Job, data)
			}
		}
	}
}
