package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"causerie/models/kernels"
)

// Measure measures the machine and then the model, with each type of weights.
// When ctx ends, it returns what was measured until then with ctx's error.
func Measure(ctx context.Context, o Options) (*Report, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	o.EnsureDefaults()
	bytes := bufferBytes
	if o.Quick {
		bytes = quickBytes
	}
	b := &bench{options: o, ruler: newRuler(o.Threads, bytes), report: newReport(o)}
	defer b.ruler.close()
	err := b.measure(ctx)
	b.report.close(err)
	return b.report, err
}

// bench is one call of Measure.
type bench struct {
	options Options
	ruler   *ruler
	report  *Report
}

func newReport(o Options) *Report {
	threads := o.Threads
	if threads == 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	return &Report{
		Schema: Schema, Version: o.Version, Started: time.Now().UTC().Truncate(time.Second),
		Machine: Machine{CPU: processor(), OS: runtime.GOOS, Arch: runtime.GOARCH, Kernels: kernels.CPU(), Threads: threads},
	}
}

// close puts down how it ended.
func (r *Report) close(err error) {
	r.Seconds = time.Since(r.Started).Seconds()
	r.Interrupted = errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func (b *bench) measure(ctx context.Context) (err error) {
	o := &b.options
	if o.wants(groupMachine) {
		b.machine()
	}
	if len(o.Only) == 1 && o.wants(groupMachine) {
		return ctx.Err()
	}
	source, err := prepareSource(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	end := time.Now().Add(o.Time)
	for i, d := range o.DTypes {
		if err := ctx.Err(); err != nil {
			return err
		}
		// What one type does not use of its time, the next ones may.
		left := time.Until(end) / time.Duration(len(o.DTypes)-i)
		if err := b.run(ctx, source, d, left); err != nil {
			return err
		}
	}
	return nil
}

// machine measures what limits everything else.
func (b *bench) machine() {
	b.options.Progress("memory and arithmetic")
	rounds := 5
	if b.options.Quick {
		rounds = 3
	}
	type gauge struct {
		name, label, unit string
		read              func() float64
	}
	threads := b.report.Machine.Threads
	gauges := []gauge{
		{"read_1", "reading memory, 1 thread", "GB/s", func() float64 { return b.ruler.bandwidth(nil, bufferBytes) / 1e9 }},
		{"read_all", "reading memory, " + count(threads, "thread"), "GB/s", func() float64 { return b.ruler.bandwidth(b.ruler.all, bufferBytes) / 1e9 }},
	}
	for _, d := range dtypes {
		gauges = append(gauges, gauge{"peak_" + d.String(), "multiply-adds, " + d.String(), "GOP/s", func() float64 { return b.ruler.peak(d) / 1e9 }})
	}
	samples := make([][]float64, len(gauges))
	for range rounds { // turn by turn, as the machine has its moods
		for i, g := range gauges {
			samples[i] = append(samples[i], g.read())
		}
	}
	for i, g := range gauges {
		b.report.Machine.Figures = append(b.report.Machine.Figures, Figure{Name: g.name, Label: g.label, Unit: g.unit, Summary: Summarize(samples[i])})
	}
}

// count is "1 thread" or "2 threads".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// run measures the model with one type of weights.
func (b *bench) run(ctx context.Context, source *source, d kernels.DType, left time.Duration) (err error) {
	b.options.Progress(fmt.Sprintf("%s, %s: loading", source.label, d))
	s, err := newSession(ctx, b, source, d)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	b.report.Runs = append(b.report.Runs, s.describe())
	s.result = &b.report.Runs[len(b.report.Runs)-1]
	s.schedule = newSchedule(time.Now().Add(left))
	return s.measure(ctx)
}
