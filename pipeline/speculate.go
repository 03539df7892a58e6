package pipeline

import "time"

// guesser guesses how a sequence goes on from what it has said before: replies
// repeat names, numbers and phrases of their prompt and of themselves. Guesses
// are checked in the same pass that computes the next token; decoding is bound
// by reading the weights, so a few more rows cost little (prompt lookup
// decoding: Saxena 2023; Yang et al. 2023, section 3).
type guesser struct {
	size int // of the next guess; it grows while guesses are right
	rest int // steps to sit out after a guess that was wrong
	miss int // wrong guesses in a row
}

const (
	matchTokens = 3  // tokens that must repeat before what followed is guessed
	firstGuess  = 3  // tokens guessed at first
	longestRest = 32 // steps between guesses where none is ever right
)

// guess appends to dst what followed the newest earlier occurrence of the last
// tokens, at most limit tokens.
func (g *guesser) guess(dst, tokens []int32, limit int) []int32 {
	if g.rest > 0 {
		g.rest--
		return dst
	}
	if g.size == 0 {
		g.size = firstGuess
	}
	at := repeats(tokens)
	if at < 0 {
		return dst
	}
	return append(dst, tokens[at:min(at+min(g.size, limit), len(tokens))]...)
}

// repeats is where the newest earlier occurrence of the last matchTokens of
// tokens ends, -1 when there is none.
func repeats(tokens []int32) int {
	n := len(tokens)
	if n <= matchTokens {
		return -1
	}
	a, b, c := tokens[n-3], tokens[n-2], tokens[n-1]
	for i := n - 2; i >= 2; i-- {
		if tokens[i] == c && tokens[i-1] == b && tokens[i-2] == a {
			return i + 1
		}
	}
	return -1
}

// learn adapts to a guess of n tokens of which the first right ones were right.
func (g *guesser) learn(n, right, longest int) {
	switch {
	case n == 0:
	case right == n:
		g.size, g.miss = min(2*g.size, longest), 0
	case right > 0:
		g.size, g.miss = max(right, firstGuess), 0
	default:
		g.size = max(1, g.size/2)
		g.rest = min(1<<g.miss, longestRest)
		g.miss++
	}
}

// payoff learns whether guessing pays: whether a step with guesses takes less
// time for a token than one without. That depends on the model, the machine
// and how many replies are being written, and says nothing about the replies.
type payoff struct {
	plain, guessed mean // time for a token
	skipped        int
}

const (
	payoffSamples = 8  // of both kinds, before it decides
	payoffTrial   = 32 // of guesses that do not seem to pay, one in so many is made
)

// worth tells whether to make a guess.
func (p *payoff) worth() bool {
	if p.plain.n < payoffSamples || p.guessed.n < payoffSamples || p.guessed.value < p.plain.value {
		return true
	}
	p.skipped++
	return p.skipped%payoffTrial == 0
}

// mean is one that forgets: new values count a sixteenth.
type mean struct {
	value float64
	n     int
}

func (m *mean) add(x float64) {
	m.n++
	m.value += (x - m.value) / float64(min(m.n, 16))
}

// observe learns from a step that did nothing but write replies.
func (l *loop) observe(took time.Duration) {
	tokens, guesses := 0, 0
	for i := range l.plan.parts {
		p := &l.plan.parts[i]
		tokens += 1 + p.right
		guesses += len(p.guesses)
	}
	p := l.payoff(len(l.plan.parts))
	if guesses > 0 {
		p.guessed.add(float64(took) / float64(tokens))
	} else {
		p.plain.add(float64(took) / float64(tokens))
	}
}

// payoff is that of steps that write so many replies.
func (l *loop) payoff(writing int) *payoff {
	if l.payoffs == nil {
		l.payoffs = make(map[int]*payoff)
	}
	if l.payoffs[writing] == nil {
		l.payoffs[writing] = &payoff{}
	}
	return l.payoffs[writing]
}
