package bench

import (
	"context"
	"fmt"
	"time"

	"causerie/models/kernels"
)

// trial is how one figure is measured.
type trial struct {
	group, name, label string
	weight             float64 // its share of the time, relative to the others

	// prepare, if not nil, is called before the first sample; estimate, if not
	// nil, says how long that will take at least.
	prepare  func(context.Context) error
	estimate func() time.Duration
	// around, if not nil, calls what it is given while something else goes on.
	around func(context.Context, func(context.Context) error) error
	// sample does what is timed.
	sample func(context.Context) error

	// A sample's result is amount/seconds in unit; without amount it is the
	// time in milliseconds.
	amount float64
	unit   string
	work   *work // of a sample, for its limit; nil: there is none to be named
}

// The number of samples of a figure, as far as time allows.
const (
	minSamples = 3
	maxSamples = 9
)

// errNoTime is a trial that would take longer than there is time.
type errNoTime struct{ needs, has time.Duration }

// Error says how much is missing.
func (e *errNoTime) Error() string {
	return fmt.Sprintf("preparing it would take some %.2g s, and there are %.2g s left for it", e.needs.Seconds(), e.has.Seconds())
}

// try measures a trial in about the given time. An error comes with what was
// measured before it, if anything was.
func (s *session) try(ctx context.Context, t *trial, limit time.Duration) (*Figure, error) {
	if t.estimate != nil {
		if needs, has := t.estimate(), max(limit, s.options.Time/20); needs > has {
			return nil, &errNoTime{needs, has}
		}
	}
	end := time.Now().Add(limit)
	if t.prepare != nil {
		if err := t.prepare(ctx); err != nil {
			return nil, err
		}
	}
	p := &pairs{trial: t}
	collect := func(ctx context.Context) error { return p.collect(ctx, s, end) }
	var err error
	if t.around != nil {
		err = t.around(ctx, collect)
	} else {
		err = collect(ctx)
	}
	if len(p.samples) == 0 {
		return nil, err
	}
	return p.figure(), err
}

// collect takes samples until there are enough or time is up, after one that
// does not count: it finds cold caches.
func (p *pairs) collect(ctx context.Context, s *session, end time.Time) error {
	wanted := maxSamples
	if s.options.Quick {
		wanted = minSamples
	}
	if err := p.trial.sample(ctx); err != nil {
		return err
	}
	for len(p.samples) < wanted && (len(p.samples) == 0 || time.Now().Before(end)) {
		if err := p.add(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// pairs are samples, each with the limit measured right before it.
type pairs struct {
	trial    *trial
	samples  []float64
	limits   []float64
	shares   []float64
	byMemory int // how often memory was the limit
}

func (p *pairs) add(ctx context.Context, s *session) error {
	t := p.trial
	var best float64
	if t.work != nil {
		var by string
		if best, by = t.work.atBest(s.ceiling(t.work)); by == byMemory {
			p.byMemory++
		}
	}
	start := time.Now()
	if err := t.sample(ctx); err != nil {
		return err
	}
	took := time.Since(start).Seconds()
	p.samples = append(p.samples, t.result(took))
	if t.work != nil {
		p.limits = append(p.limits, t.result(best))
		p.shares = append(p.shares, best/took)
	}
	return nil
}

// result is what a sample of so many seconds says in the figure's unit.
func (t *trial) result(seconds float64) float64 {
	if t.amount == 0 {
		return seconds * 1e3
	}
	return t.amount / seconds
}

func (p *pairs) figure() *Figure {
	f := &Figure{Name: p.trial.name, Label: p.trial.label, Unit: p.trial.unit, Summary: Summarize(p.samples)}
	if len(p.limits) > 0 {
		f.Limit = &Limit{Value: median(p.limits), By: byArithmetic, Share: median(p.shares)}
		if 2*p.byMemory > len(p.limits) {
			f.Limit.By = byMemory
		}
	}
	return f
}

// ceiling measures what the machine can do now. The peaks of arithmetic are
// measured again only where they are the limit.
func (s *session) ceiling(w *work) ceiling {
	s.top.bandwidth = s.ruler.bandwidth(s.ruler.all, s.load.stepBytes())
	if s.top.products > 0 {
		if _, by := w.atBest(s.top); by == byMemory {
			return s.top
		}
	}
	s.top.float32 = s.ruler.peak(kernels.Float32)
	s.top.products = s.top.float32
	if s.dtype != kernels.Float32 {
		s.top.products = s.ruler.peak(s.dtype)
	}
	return s.top
}

// schedule divides time among trials by their weights. What one leaves over,
// the next ones share.
type schedule struct {
	end  time.Time
	left float64 // weights to come
}

func newSchedule(end time.Time) *schedule { return &schedule{end: end} }

func (s *schedule) plan(trials []trial) {
	for i := range trials {
		s.left += trials[i].weight
	}
}

// next is how long a trial may take.
func (s *schedule) next(t *trial) time.Duration {
	share := t.weight / s.left
	s.left -= t.weight
	return max(0, time.Duration(share*float64(time.Until(s.end))))
}
