package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"causerie/bench/openai"
)

// client asks for one reply after the other.
type client struct {
	index    int
	api      *openai.Client
	tokens   int
	patience time.Duration

	replies, refused atomic.Int64 // so far, for the progress
	done             []served
	errs             map[string]int
	late             int // replies that were under way at the end and not finished
}

// served is one reply.
type served struct {
	end       time.Duration // when, since the client began
	first     time.Duration // from the request that was accepted to the first text
	fromStart time.Duration // the same from the first try
	total     time.Duration
	tokens    int
	chars     int
}

// words are what clients talk about.
var words = strings.Fields(`rain river mountain garden window letter teacher morning evening winter summer bread
music story question answer journey village market harbour lantern bridge forest silver paper clock`)

// prompt is a new one each time, so that little of it is known from before.
func (c *client) prompt(random *rand.Rand) string {
	word := func() string { return words[random.IntN(len(words))] }
	return fmt.Sprintf("A %s, a %s and a %s?", word(), word(), word())
}

// run asks until asking ends; cut cuts off what is under way then.
func (c *client) run(asking, cut context.Context) {
	defer c.api.Close()
	random := rand.New(rand.NewPCG(uint64(c.index), 7))
	begun := time.Now()
	for asking.Err() == nil {
		c.reply(asking, cut, begun, c.prompt(random))
	}
}

// reply gets one reply, with as many tries as it takes.
func (c *client) reply(asking, cut context.Context, begun time.Time, prompt string) {
	start := time.Now()
	for {
		try := time.Now()
		ctx, cancel := context.WithTimeout(cut, c.patience)
		t, err := c.api.Reply(ctx, openai.Request{Prompt: prompt, MaxTokens: c.tokens})
		cancel()
		if wait, ok := busy(err); ok {
			c.refused.Add(1)
			if !pause(asking, wait) {
				return
			}
			continue
		}
		switch {
		case cut.Err() != nil:
			c.late++
		case err != nil:
			c.failed(err)
			pause(asking, time.Second) // whatever it is, it is not to be made worse
		default:
			c.replies.Add(1)
			c.done = append(c.done, served{
				end: time.Since(begun), first: t.FirstToken, fromStart: try.Sub(start) + t.FirstToken, total: t.Total, tokens: t.Tokens, chars: len(t.Text),
			})
		}
		return
	}
}

// busy reports whether an error is the server's asking to come back, and when.
// Without a time it is half a second, as with OpenAI's clients.
func busy(err error) (time.Duration, bool) {
	e, ok := errors.AsType[*openai.Error](err)
	if !ok || e.Status != http.StatusTooManyRequests {
		return 0, false
	}
	if e.RetryAfter > 0 {
		return e.RetryAfter, true
	}
	return 500 * time.Millisecond, true
}

// pause waits, and returns false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// failed counts an error by its kind.
func (c *client) failed(err error) { count(&c.errs, kind(err)) }

func count(counts *map[string]int, kind string) {
	if *counts == nil {
		*counts = map[string]int{}
	}
	(*counts)[kind]++
}

// numbers differ in messages that say the same.
var numbers = regexp.MustCompile(`\d+`)

// kind is an error without what differs from one to the next.
func kind(err error) string {
	e, ok := errors.AsType[*openai.Error](err)
	switch {
	case ok && e.Status == 0:
		return "broken off: " + numbers.ReplaceAllString(e.Message, "…")
	case ok:
		return fmt.Sprintf("status %d: %s", e.Status, numbers.ReplaceAllString(e.Message, "…"))
	case errors.Is(err, context.DeadlineExceeded):
		return "no reply in time"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:] // the cause, without addresses and ports
	}
	return text
}
