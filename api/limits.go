package api

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// budgets bound what each client asks for in a minute: requests, and tokens of
// prompts and replies. A client is an API key's owner, or an address where no
// keys are asked for. The zero value bounds nothing.
type budgets struct {
	requests, tokens int // a minute; 0: any number

	mu      sync.Mutex
	clients map[string]*budget
}

// budget is what a client has left, as token buckets that fill in a minute.
type budget struct{ requests, tokens *rate.Limiter }

// maxClients bounds the memory of budgets: when there are more, those that have
// all of theirs are forgotten.
const maxClients = 10_000

func (b *budgets) of(client string) *budget {
	b.mu.Lock()
	defer b.mu.Unlock()
	if found, ok := b.clients[client]; ok {
		return found
	}
	if b.clients == nil {
		b.clients = make(map[string]*budget)
	}
	if len(b.clients) >= maxClients {
		for name, other := range b.clients {
			if full(other.requests) && full(other.tokens) {
				delete(b.clients, name)
			}
		}
	}
	made := &budget{bucket(b.requests), bucket(b.tokens)}
	b.clients[client] = made
	return made
}

// bucket holds n at first and fills by n a minute; nil holds any number.
func bucket(n int) *rate.Limiter {
	if n == 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(n)/60), n)
}

func full(l *rate.Limiter) bool { return l == nil || l.Tokens() >= float64(l.Burst()) }

// client is whose budget a request uses.
func client(r *http.Request) string {
	if k, ok := keyOf(r); ok {
		return k.Owner
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// limited refuses requests of clients that have used their budget up, and tells
// all clients in OpenAI's headers what is left. Tokens are counted when they
// are known, after the reply, so a bucket may go below empty.
func (s *Server) limited(next http.Handler) http.Handler {
	if s.budgets.requests == 0 && s.budgets.tokens == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := s.budgets.of(client(r))
		err := b.take()
		tell(w.Header(), "Requests", b.requests)
		tell(w.Header(), "Tokens", b.tokens)
		if err != nil {
			fail(w, r, err)
			return
		}
		note(r, func(n *requestNote) { n.spend = b.spend })
		next.ServeHTTP(w, r)
	})
}

// take takes one request out of the budget, if there is one and a token left.
func (b *budget) take() error {
	if l := b.tokens; l != nil && l.Tokens() <= 0 {
		return exhausted("tokens", l, 1)
	}
	if l := b.requests; l != nil && !l.Allow() {
		return exhausted("requests", l, 1)
	}
	return nil
}

// spend takes tokens out of the budget.
func (b *budget) spend(tokens int) {
	for l := b.tokens; l != nil && tokens > 0; tokens -= l.Burst() {
		l.ReserveN(time.Now(), min(tokens, l.Burst()))
	}
}

func exhausted(what string, l *rate.Limiter, want float64) error {
	wait := time.Duration((want - l.Tokens()) / float64(l.Limit()) * float64(time.Second))
	return &Error{
		Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "rate_limit_exceeded", RetryAfter: max(wait, 0),
		Message: fmt.Sprintf("the limit of %d %s a minute is reached; try again in %s", l.Burst(), what, max(wait, 0).Round(10*time.Millisecond)),
	}
}

// tell writes the headers of one limit; the reset is when nothing is used.
func tell(h http.Header, what string, l *rate.Limiter) {
	if l == nil {
		return
	}
	left := l.Tokens()
	reset := time.Duration((float64(l.Burst()) - left) / float64(l.Limit()) * float64(time.Second))
	h.Set("X-Ratelimit-Limit-"+what, strconv.Itoa(l.Burst()))
	h.Set("X-Ratelimit-Remaining-"+what, strconv.Itoa(int(math.Max(0, math.Floor(left)))))
	h.Set("X-Ratelimit-Reset-"+what, max(reset, 0).Round(time.Millisecond).String())
}
