package finetune

import (
	"fmt"
	"strconv"
	"time"
)

// Every is an interval, counted in steps or in time; both set means whichever
// comes first. As text it is "500" (steps) or "5m" (time).
type Every struct {
	Steps int
	Time  time.Duration
}

// UnmarshalText reads "500" or "5m".
func (e *Every) UnmarshalText(text []byte) error {
	s := string(text)
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		*e = Every{Steps: n}
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is neither a number of steps (500) nor a time (5m)", s)
	}
	*e = Every{Time: d}
	return nil
}

// MarshalText is the inverse of UnmarshalText.
func (e Every) MarshalText() ([]byte, error) {
	if e.Steps > 0 {
		return strconv.AppendInt(nil, int64(e.Steps), 10), nil
	}
	return []byte(e.Time.String()), nil
}

// due tells whether the interval is over at this step, this long after the
// last time.
func (e Every) due(step int, since time.Duration) bool {
	return e.Steps > 0 && step%e.Steps == 0 || e.Time > 0 && since >= e.Time
}
