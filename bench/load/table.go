package load

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable prints the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s, model %s: %d clients for %.0f s, replies of %d tokens", r.Server.URL, r.Server.Model, r.Clients, r.Seconds, r.Tokens)
	if r.Idle+r.Slow > 0 {
		fmt.Fprintf(t, "; %d idle connections, %d slow readers", r.Idle, r.Slow)
	}
	fmt.Fprintln(t)
	if r.MaxFiles > 0 {
		fmt.Fprintf(t, "this process may have %d files open\n", r.MaxFiles)
	}
	q := r.Requests
	fmt.Fprintf(t, "replies\t%d\t%.1f a second\t%.0f tokens/s\n", q.Replies, q.PerSec, q.TokensPerSec)
	fmt.Fprintf(t, "refused (429)\t%d\n", q.Refused)
	fmt.Fprintf(t, "errors\t%d\n", len(q.Errors))
	for _, line := range q.errorLines() {
		fmt.Fprintf(t, "\t%s\n", line)
	}
	if q.Late > 0 {
		fmt.Fprintf(t, "cut off at the end\t%d\n", q.Late)
	}
	fmt.Fprintf(t, "ms\tmedian\t90 %%\t99 %%\tmost\n")
	for _, l := range []struct {
		label string
		p     Percentiles
	}{
		{"first token", r.Latency.FirstToken}, {"the same from the first try", r.Latency.FromFirstTry}, {"between tokens", r.Latency.PerToken},
	} {
		fmt.Fprintf(t, "%s\t%.1f\t%.1f\t%.1f\t%.1f\n", l.label, l.p.P50, l.p.P90, l.p.P99, l.p.Max)
	}
	f := r.Fairness
	fmt.Fprintf(t, "share of a client, 1 is equal\t%.2f to %.2f\tmedian %.2f\tJain's index %.4f\n", f.Min, f.Max, f.Median, f.Jain)
	r.server(t)
	r.verdict(t)
	return t.Flush()
}

func (r *Report) server(t io.Writer) {
	s, q := &r.Server, &r.Requests
	if s.Unknown == "" {
		fmt.Fprintf(t, "server\tbefore\tat most\tafter\n")
		p := s.peak()
		fmt.Fprintf(t, "memory\t%s\t%s\t%s\n", size(s.Before.Resident), size(p.Resident), size(s.After.Resident))
		fmt.Fprintf(t, "heap\t%s\t%s\t%s\n", size(s.Before.Heap), size(p.Heap), size(s.After.Heap))
		fmt.Fprintf(t, "goroutines\t%d\t%d\t%d\n", s.Before.Goroutines, p.Goroutines, s.After.Goroutines)
		fmt.Fprintf(t, "open files\t%d\t%d\t%d\n", s.Before.Files, p.Files, s.After.Files)
		if growth, ok := s.growth(); ok {
			fmt.Fprintf(t, "memory, last quarter - second\t%s\n", size(growth))
		}
	}
	if r.Idle > 0 {
		fmt.Fprintf(t, "idle connections\t%s each\t%d of %d asked again answer\n", size(s.PerIdle), q.IdleAlive, q.IdleAsked)
	}
	if r.Slow > 0 {
		fmt.Fprintf(t, "slow readers\t%d bytes read\t%d times dropped\t%s\n", q.SlowBytes, q.SlowDropped, q.SlowLast)
	}
}

func (r *Report) verdict(t io.Writer) {
	for _, o := range r.Open {
		fmt.Fprintf(t, "not judged\t%s\n", o)
	}
	for _, f := range r.Failures {
		fmt.Fprintf(t, "FAILED\t%s\n", f)
	}
	if r.Passed() {
		fmt.Fprintln(t, "passed")
	}
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch abs := max(bytes, -bytes); {
	case abs >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	default:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/(1<<10))
	}
}
