package bench

import "slices"

// Summary is what is said about a row of samples: the middle one and the
// extremes. Means are not, as one hiccup of the machine moves them.
type Summary struct {
	Median  float64   `json:"median"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Samples []float64 `json:"samples"` // in the order of measuring
}

// Summarize summarizes samples, which it keeps. There must be at least one.
func Summarize(samples []float64) Summary {
	return Summary{
		Median:  median(samples),
		Min:     slices.Min(samples),
		Max:     slices.Max(samples),
		Samples: samples,
	}
}

// median is the middle of the samples in their order of size, or halfway
// between the two in the middle.
func median(samples []float64) float64 {
	s := slices.Sorted(slices.Values(samples))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}
