package finetune

import "time"

// clock measures how fast a run is. Nothing that decides a weight asks it.
type clock struct {
	now      func() time.Time
	began    time.Time // of this session
	before   float64   // seconds of earlier sessions
	lastSave time.Time
	lastStep time.Time // end of the last step, or of what came between
	perStep  float64   // seconds, smoothed
	perToken float64   // seconds, smoothed
	steps    int       // of this session
}

func newClock(now func() time.Time, before float64) *clock {
	t := now()
	return &clock{now: now, began: t, before: before, lastSave: t, lastStep: t}
}

// seconds spent on the run, in this session and those before.
func (c *clock) seconds() float64 { return c.before + c.elapsed().Seconds() }

// elapsed is the age of this session.
func (c *clock) elapsed() time.Duration { return c.now().Sub(c.began) }

// pause keeps what has passed since the last step, a validation or a
// checkpoint, out of the speed of the next.
func (c *clock) pause() { c.lastStep = c.now() }

func (c *clock) saved() { c.lastSave = c.now(); c.pause() }

// sinceSave is how old the last checkpoint is.
func (c *clock) sinceSave() time.Duration { return c.now().Sub(c.lastSave) }

// step takes note of a step of so many tokens. Speeds are averages in which a
// step counts half after about fourteen more; the first steps, which warm up
// memory, fade faster.
func (c *clock) step(tokens int) {
	now := c.now()
	took := now.Sub(c.lastStep).Seconds()
	c.lastStep = now
	c.steps++
	mix := max(0.05, 1/float64(c.steps))
	c.perStep += mix * (took - c.perStep)
	c.perToken += mix * (took/float64(max(1, tokens)) - c.perToken)
}

func (c *clock) tokensPerSecond() float64 {
	if c.perToken == 0 {
		return 0
	}
	return 1 / c.perToken
}

// left is how many seconds so many more steps will take.
func (c *clock) left(steps int) float64 { return c.perStep * float64(max(0, steps)) }
