package kernels

import (
	"sync"
	"sync/atomic"
	"time"
)

// A process may serve and train at once. Somebody waits for what is served, so
// a pool in the background gives way to it: whoever serves claims the
// processors while there is work, and until the claim ends a background pool's
// workers pause between tasks and, in long ones, between blocks, which take a
// fraction of a millisecond. Pausing changes when an element is computed, never
// how, so results keep their bits.

// BackgroundShare is the part of a worker's time that a background pool keeps
// under a claim that never ends.
const BackgroundShare = 1.0 / backgroundParts

const (
	backgroundParts = 10
	leastWork       = 500 * time.Microsecond // before a worker pauses again
	firstPause      = (backgroundParts - 1) * leastWork
	longestPause    = 20 * time.Millisecond
)

// claims are those of the process.
var claims claimList

type claimList struct {
	n     atomic.Int32
	mu    sync.Mutex
	ended chan struct{} // closed when the last claim ends; made by the first
}

// Claim says that somebody waits for what this process computes, until Release
// is called: pools in the background give way meanwhile. Claims of several
// owners add up.
func Claim() {
	c := &claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Load() == 0 {
		c.ended = make(chan struct{})
	}
	c.n.Add(1)
}

// Release ends a Claim.
func Release() {
	c := &claims
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Add(-1) == 0 {
		close(c.ended)
	}
}

// Claimed reports whether there is a claim.
func Claimed() bool { return claims.n.Load() > 0 }

// claimed returns what is closed when the last claim ends; nil when there is none.
func (c *claimList) claimed() <-chan struct{} {
	if !Claimed() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n.Load() == 0 {
		return nil
	}
	return c.ended
}

// A pacer lets one worker of a background pool give way. A nil pacer never does.
type pacer struct {
	resumed time.Time // when the last pause under this claim was over
	timer   *time.Timer
}

// rest is called where the worker may stop for a while.
func (p *pacer) rest() {
	if p == nil {
		return
	}
	ended := claims.claimed()
	if ended == nil {
		p.resumed = time.Time{}
		return
	}
	pause := firstPause
	if !p.resumed.IsZero() {
		worked := time.Since(p.resumed)
		if worked < leastWork {
			return
		}
		pause = min(longestPause, (backgroundParts-1)*worked)
	}
	if p.timer == nil {
		p.timer = time.NewTimer(pause)
	} else {
		p.timer.Reset(pause)
	}
	select {
	case <-ended:
		p.timer.Stop()
	case <-p.timer.C:
	}
	p.resumed = time.Now()
}

// NewBackgroundPool starts a pool like NewPool's that gives way to whoever
// claims the processors (see [Claim]): for work that nobody waits for.
func NewBackgroundPool(threads int) *Pool { return newPool(threads, true) }

// pacer is that of a worker; nil unless the pool is in the background.
func (p *Pool) pacer(worker int) *pacer {
	if p == nil || p.pacers == nil {
		return nil
	}
	return &p.pacers[worker]
}

// yields tells whether the pool should keep away from the processors now.
func (p *Pool) yields() bool { return p.pacers != nil && Claimed() }
