package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"causerie/finetune"
	"causerie/models/kernels"
)

// comparison is what eval prints for several dtypes.
type comparison struct {
	Model  string     `json:"model"`
	DTypes []compared `json:"dtypes"`
}

// compared is one dtype's report.
type compared struct {
	finetune.Report
	// Change of perplexity against f32, in percent; nil when f32 was not measured.
	Change *float64 `json:"perplexity_change_percent,omitempty"`
}

func comparisonOf(reports []finetune.Report) comparison {
	c := comparison{Model: reports[0].Model}
	var base *finetune.Report
	for i := range reports {
		if reports[i].DType == kernels.Float32.String() {
			base = &reports[i]
		}
	}
	for _, r := range reports {
		row := compared{Report: r}
		if base != nil {
			row.Change = new(100 * (r.Perplexity/base.Perplexity - 1))
		}
		c.DTypes = append(c.DTypes, row)
	}
	return c
}

// printComparison prints a table, a line for each dtype.
func printComparison(w io.Writer, c comparison) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "dtype\tweights\tloss\tperplexity\tagainst f32\tbits per byte\ttokens/s\t")
	for _, r := range c.DTypes {
		change := "-"
		if r.Change != nil {
			change = fmt.Sprintf("%+.3f %%", *r.Change)
		}
		fmt.Fprintf(t, "%s\t%.1f MB\t%.4f\t%.3f\t%s\t%.4f\t%.0f\t\n",
			r.DType, megabytes(r.WeightBytes), r.Loss, r.Perplexity, change, r.BitsPerByte, r.TokensPerSecond)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	r := c.DTypes[0]
	_, err := fmt.Fprintf(w, "%d tokens of %d dialogues\n", r.Tokens, r.Dialogues)
	if err == nil && r.SkippedBad > 0 {
		_, err = fmt.Fprintf(w, "%d bad lines were skipped\n", r.SkippedBad)
	}
	return err
}
