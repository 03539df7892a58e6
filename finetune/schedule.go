package finetune

import "math"

// Schedule is a learning rate that warms up linearly and then falls along half
// a cosine (Loshchilov & Hutter 2017, section 3, without restarts). It is a
// function of the step alone, never of the clock, so that a run can be
// repeated.
type Schedule struct {
	Peak   float64 // the learning rate after the warm-up
	Floor  float64 // the learning rate of the last step
	Warmup int     // steps until Peak
	Steps  int     // steps in all
}

// At returns the learning rate of a step, counted from 1. The rate rises from
// Peak/Warmup at step 1 to Peak at step Warmup and reaches Floor at step
// Steps, where it stays.
func (s Schedule) At(step int) float64 {
	switch {
	case step <= s.Warmup:
		return s.Peak * float64(step) / float64(s.Warmup)
	case step >= s.Steps:
		return s.Floor
	}
	done := float64(step-s.Warmup) / float64(s.Steps-s.Warmup)
	return s.Floor + (s.Peak-s.Floor)*(1+math.Cos(math.Pi*done))/2
}
