package bench

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// WriteTable prints the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	m := r.Machine
	name := m.CPU
	if name == "" {
		name = "unknown processor"
	}
	fmt.Fprintf(t, "%s, %s/%s, kernels %s, %s\n", name, m.OS, m.Arch, m.Kernels, count(m.Threads, "thread"))
	if len(m.Figures) > 0 {
		t.figures("machine", m.Figures)
	}
	for _, run := range r.Runs {
		fmt.Fprintf(t, "\n%s, %s: %.1fM parameters, %s of weights a step, %s of KV cache a token\n",
			run.Model, run.DType, float64(run.Parameters)/1e6, size(run.StepBytes), size(run.CacheTokenBytes))
		t.figures("model", run.Figures)
		t.skipped(run.Skipped)
	}
	if r.Comparison != nil {
		t.comparison(r.Comparison)
	}
	if r.Interrupted {
		fmt.Fprintln(t, "\nInterrupted: the rest was not measured.")
	}
	return t.Flush()
}

type table struct{ *tabwriter.Writer }

func (t *table) figures(title string, figures []Figure) {
	fmt.Fprintf(t, "%s\tmedian\t(min to max)\tat most\tshare\t\n", title)
	for _, f := range figures {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t", f.Label, number(f.Median), f.Unit, spread(f.Summary))
		if f.Limit == nil {
			fmt.Fprintf(t, "\t\t\n")
			continue
		}
		fmt.Fprintf(t, "%s by %s\t%.0f %%\t\n", number(f.Limit.Value), f.Limit.By, 100*f.Limit.Share)
	}
}

func (t *table) skipped(list []Skip) {
	for _, s := range list {
		fmt.Fprintf(t, "%s\tnot measured: %s\n", s.Name, s.Reason)
	}
}

func (t *table) comparison(c *Comparison) {
	fmt.Fprintf(t, "\nours:   %s, %s, %s\n", c.Ours.URL, c.Ours.Model, c.Ours.Endpoint)
	fmt.Fprintf(t, "theirs: %s, %s, %s\n", c.Theirs.URL, c.Theirs.Model, c.Theirs.Endpoint)
	fmt.Fprintf(t, "over HTTP, turn by turn\tours\t(min to max)\ttheirs\t(min to max)\tours / theirs\t(min to max)\t\n")
	for _, d := range c.Figures {
		fmt.Fprintf(t, "%s\t%s %s\t%s\t%s %s\t%s\t%.2f\t%s\t\n", d.Label, number(d.Ours.Median), d.Unit, spread(d.Ours),
			number(d.Theirs.Median), d.Unit, spread(d.Theirs), d.Ratio.Median, spread(d.Ratio))
	}
	t.skipped(c.Skipped)
	var told [2]Tokens // figures of one request follow each other
	for _, d := range c.Figures {
		pair := [2]Tokens{d.OurTokens, d.TheirTokens}
		if pair[0] != pair[1] && pair != told {
			fmt.Fprintf(t, "%s: prompt and reply have %s tokens here, %s there\n", d.Label, d.OurTokens, d.TheirTokens)
		}
		told = pair
	}
}

// String is "64 + 64".
func (t Tokens) String() string { return fmt.Sprintf("%d + %d", t.Prompt, t.Reply) }

func spread(s Summary) string { return "(" + number(s.Min) + " to " + number(s.Max) + ")" }

// number is x with three significant digits, and no fewer before its point.
func number(x float64) string {
	switch {
	case x >= 100:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// size is a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return number(float64(bytes)/1e9) + " GB"
	case bytes >= 1e6:
		return number(float64(bytes)/1e6) + " MB"
	}
	return number(float64(bytes)/1e3) + " kB"
}
