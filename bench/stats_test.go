package bench

import (
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	for _, test := range []struct {
		samples          []float64
		median, min, max float64
	}{
		{[]float64{7}, 7, 7, 7},
		{[]float64{3, 1}, 2, 1, 3},
		{[]float64{9, 1, 5}, 5, 1, 9},
		{[]float64{4, 1, 100, 2}, 3, 1, 100},
		{[]float64{-1, -5, -3}, -3, -5, -1},
	} {
		before := slices.Clone(test.samples)
		got := Summarize(test.samples)
		if got.Median != test.median || got.Min != test.min || got.Max != test.max {
			t.Errorf("Summarize(%v) = %+v, want %v (%v to %v)", before, got, test.median, test.min, test.max)
		}
		if !slices.Equal(got.Samples, before) {
			t.Errorf("Summarize(%v) changed the order to %v", before, got.Samples)
		}
	}
}
