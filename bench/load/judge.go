package load

import (
	"fmt"
	"math"
)

// What a server has to hold to.
const (
	// fairReplies is how many replies a client must have had on average before
	// shares are judged: with fewer, chance alone makes them differ.
	fairReplies = 20
	// leastJain is what Jain's index must reach; n replies handed out at random
	// give n/(n+1), which is 0.95 for fairReplies.
	leastJain = 0.9
	// leastShare is the smallest share of a client that is not starved.
	leastShare = 0.25
	// mostGrowth is how much memory may grow, of what is taken already, between
	// the second and the last quarter of the time.
	mostGrowth = 0.1
	// freeGrowth is never held against a server.
	freeGrowth = 16 << 20
	// mostLeft is how many goroutines may be there more than before: /metrics
	// itself is served by some.
	mostLeft = 3
)

// judge fills Failures and Open.
func (r *Report) judge() {
	for _, line := range r.Requests.errorLines() {
		r.failed("%s", line)
	}
	if r.Requests.Replies == 0 {
		r.failed("there was not a single reply")
	}
	if r.Requests.IdleAlive < r.Requests.IdleAsked {
		r.failed("%d of %d idle connections were dropped", r.Requests.IdleAsked-r.Requests.IdleAlive, r.Requests.IdleAsked)
	}
	r.judgeShares()
	r.judgeServer()
}

func (r *Report) failed(format string, args ...any) {
	r.Failures = append(r.Failures, fmt.Sprintf(format, args...))
}

func (r *Report) open(format string, args ...any) {
	r.Open = append(r.Open, fmt.Sprintf(format, args...))
}

func (r *Report) judgeShares() {
	if average := float64(r.Requests.Replies) / float64(r.Clients); average < fairReplies {
		r.open("fair shares: %.1f replies a client are too few to judge by", average)
		return
	}
	if f := r.Fairness; f.Jain < leastJain || f.Min < leastShare {
		r.failed("shares are not fair: the smallest is %.2f of an equal one, Jain's index %.3f", f.Min, f.Jain)
	}
}

func (r *Report) judgeServer() {
	s := &r.Server
	if s.Unknown != "" {
		r.open("memory and goroutines: %s", s.Unknown)
		return
	}
	if n := s.leftGoroutines(); s.After.Goroutines > 0 && n > mostLeft {
		r.failed("%d goroutines were left", n)
	}
	growth, ok := s.growth()
	if !ok {
		r.open("flat memory: %.0f seconds are too short to judge by", r.Seconds)
		return
	}
	if allowed := math.Max(freeGrowth, mostGrowth*float64(s.peak().Resident)); float64(growth) > allowed {
		r.failed("memory grows: by %s between the second quarter of the time and the last", size(growth))
	}
}
