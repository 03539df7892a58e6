package pipeline

import (
	"slices"
	"time"

	"causerie/models/gpt2"
)

// part is a sequence's share of a step.
type part struct {
	sequence *sequence
	guesses  []int32
	right    int // how many of them were
	row      int // the first of its rows whose logits are wanted, among all those
	wanted   int // how many; 0 in the middle of a prompt
	at       int // the position of the first row that is wanted
}

// plan is what one step computes.
type plan struct {
	parts    []part
	embeds   []embedPart
	segments []gpt2.Segment
	out      gpt2.Outputs
	rows     int
	tokens   []int32 // memory of segments with guesses
	mixed    bool    // it computes more than replies' tokens
}

func (p *plan) reset() {
	p.parts, p.embeds, p.segments, p.tokens = p.parts[:0], p.embeds[:0], p.segments[:0], p.tokens[:0]
	p.out.LogitRows, p.out.HiddenRows, p.rows = p.out.LogitRows[:0], p.out.HiddenRows[:0], 0
	p.mixed = false
}

func (p *plan) empty() bool { return len(p.segments) == 0 }

// schedule plans the next step. Each reply that is being written gets its row
// in every step; what is left of the step's tokens goes to prompts in the
// order of their arrival, half of it to texts to embed when there are any.
func (l *loop) schedule() {
	l.plan.reset()
	writing := 0
	for _, s := range l.running {
		if s.pending() == 1 {
			writing++
		}
	}
	room := l.promptRows(writing)
	if l.prompts(writing) {
		room -= min(l.planEmbeds((room+1)/2), room/2)
	} else {
		l.planEmbeds(room)
	}
	preempted := len(l.preempted)
	for i := 0; i < len(l.running); i++ { // preempting shortens the list from its end
		s := l.running[i]
		if s.pending() == 1 {
			l.planToken(s, writing)
		} else if room > 0 {
			room -= l.planPrompt(s, room)
		}
	}
	if len(l.preempted) == preempted {
		l.admit(room)
	}
}

// prompts tells whether there are prompts to compute.
func (l *loop) prompts(writing int) bool {
	return len(l.running) > writing || len(l.running) < l.options.MaxSequences && l.nextWaiting() != nil
}

// promptRows is how many rows of prompts a step takes beside replies.
func (l *loop) promptRows(writing int) int {
	if writing == 0 {
		return l.options.StepTokens
	}
	return max(1, min(l.options.StepTokens-writing, l.options.MixedTokens))
}

// planToken adds the next row of a reply, and guesses when they are cheap.
func (l *loop) planToken(s *sequence, writing int) {
	p := part{sequence: s, wanted: 1, at: s.cache.Len()}
	first := len(l.plan.tokens)
	l.plan.tokens = append(l.plan.tokens, s.tokens[s.cache.Len()])
	if limit := l.guessLimit(s, writing); limit > 0 {
		l.plan.tokens = s.guess.guess(l.plan.tokens, s.tokens, limit)
		if len(l.plan.tokens) > first+1 && !l.payoff(writing).worth() {
			l.plan.tokens = l.plan.tokens[:first+1]
		}
	}
	tokens := l.plan.tokens[first:len(l.plan.tokens):len(l.plan.tokens)]
	if !l.reserve(s, len(tokens)) {
		l.plan.tokens = l.plan.tokens[:first]
		return // it was preempted itself
	}
	p.guesses = tokens[1:]
	p.wanted = len(tokens)
	l.add(p, tokens)
}

// guessLimit is how many tokens of a sequence may be guessed in this step.
func (l *loop) guessLimit(s *sequence, writing int) int {
	if l.options.NoSpeculation || s.scoresPrompt() {
		return 0
	}
	most := l.options.SpeculationRows/writing - 1
	return min(most, s.max-s.written()-1, s.cache.Cap()-s.cache.Len()-1)
}

// planPrompt adds the next tokens of a prompt, at most room, and returns how many.
func (l *loop) planPrompt(s *sequence, room int) int {
	from := s.cache.Len()
	n := min(len(s.tokens)-from, room)
	p := part{sequence: s}
	if s.scoresPrompt() {
		n = min(n, scoredRows)
		p.wanted, p.at = n, from
	} else if from+n == len(s.tokens) {
		p.wanted, p.at = 1, from+n-1
	}
	if !l.reserve(s, n) {
		return 0
	}
	l.plan.mixed = true
	l.add(p, s.tokens[from:from+n])
	return n
}

// scoredRows is how many tokens of a prompt are computed at once when the
// logits of all of them are wanted: a vocabulary's width of memory each.
const scoredRows = 64

func (l *loop) add(p part, tokens []int32) {
	p.row = len(l.plan.out.LogitRows)
	l.plan.segments = append(l.plan.segments, gpt2.Segment{Tokens: tokens, Cache: p.sequence.cache, Adapter: p.sequence.adapter})
	for i := len(tokens) - p.wanted; i < len(tokens); i++ {
		l.plan.out.LogitRows = append(l.plan.out.LogitRows, l.plan.rows+i)
	}
	l.plan.rows += len(tokens)
	l.plan.parts = append(l.plan.parts, p)
}

// admit lets waiting sequences begin while there are rows, places and memory
// for them. What begins is newer than all that runs.
func (l *loop) admit(room int) {
	for room > 0 && len(l.running) < l.options.MaxSequences {
		s := l.nextWaiting()
		if s == nil || !l.begin(s) {
			return
		}
		l.dequeue(s)
		l.running = append(l.running, s)
		preempted := len(l.preempted)
		if s.pending() == 1 {
			l.planToken(s, 1+len(l.plan.parts))
			room--
		} else {
			room -= l.planPrompt(s, room)
		}
		if len(l.preempted) > preempted {
			return
		}
	}
}

// nextWaiting is the sequence that may begin next: one that was preempted, or of
// the request with the fewest replies being written, so that one that asks for
// many does not keep the others waiting for all of them. Among equals the one
// that waits longest.
func (l *loop) nextWaiting() *sequence {
	if len(l.preempted) > 0 {
		return l.preempted[0]
	}
	var next *sequence
	var asker *request // whose sequences stand together
	fewest := len(l.running) + 1
	for _, s := range l.waiting {
		if s.request == asker {
			continue
		}
		asker = s.request
		if n := l.writingFor(asker); n < fewest {
			next, fewest = s, n
		}
		if fewest == 0 {
			break
		}
	}
	return next
}

// writingFor is how many replies of a request have begun and are not complete.
func (l *loop) writingFor(r *request) (n int) {
	for _, s := range l.running {
		if s.request == r {
			n++
		}
	}
	return n
}

func (l *loop) dequeue(s *sequence) {
	is := func(other *sequence) bool { return other == s }
	l.preempted = slices.DeleteFunc(l.preempted, is)
	l.waiting = slices.DeleteFunc(l.waiting, is)
}

// worthWaiting is how many tokens a sequence must have in common with a prompt
// that is being computed to wait for that instead of computing them again.
const worthWaiting = 16

// begin finds what is known of a sequence's tokens. It returns false when the
// sequence should not start yet.
func (l *loop) begin(s *sequence) bool {
	// The last token is always computed: its logits are not kept.
	known := s.tokens[:len(s.tokens)-1]
	if s.scoresPrompt() {
		known = known[:s.scored]
	}
	if !l.options.NoPrefixCache {
		l.prefixes.find(known, s.adapter, s.cache)
	}
	have := s.cache.Len()
	for _, other := range l.running {
		if other.pending() > 1 && other.adapter == s.adapter && !l.options.NoPrefixCache && !s.scoresPrompt() &&
			commonPrefix(other.tokens, known) >= have+worthWaiting {
			s.cache.Reset()
			return false
		}
	}
	if !l.fits(s) {
		s.cache.Reset()
		return false
	}
	if !s.begun {
		s.begun = true
		l.stats.PromptTokens += int64(s.prompt)
		l.stats.CachedTokens += int64(have)
		s.request.post(event{reply: s.index, begun: true, cached: have, at: time.Now()})
	}
	s.known = have
	return true
}

// fits tells whether there is memory for a sequence to begin, with a block to
// grow for each that runs: what begins only to be preempted is work for nothing.
func (l *loop) fits(s *sequence) bool {
	if len(l.running) == 0 {
		return true
	}
	need := (len(s.tokens)+1+gpt2.BlockTokens-1)/gpt2.BlockTokens - s.cache.Len()/gpt2.BlockTokens
	return l.memory.Available()+l.prefixes.evictable() >= need+len(l.running)
}

// reserve makes room for n more tokens of a sequence: first by forgetting
// prefixes that nobody uses, then by preempting the newest sequence. It
// returns false when s itself was the newest and had to go.
func (l *loop) reserve(s *sequence, n int) bool {
	for s.cache.Reserve(n) != nil {
		if l.prefixes.evict() {
			continue
		}
		newest := l.running[len(l.running)-1]
		l.preempt(newest)
		if newest == s {
			return false
		}
	}
	return true
}

// preempt takes a sequence's memory away. It starts again where it was as soon
// as there is memory, before all that wait; nobody sees a difference but in time.
func (l *loop) preempt(s *sequence) {
	l.running = l.running[:len(l.running)-1]
	l.forget(s)
	l.preempted = slices.Insert(l.preempted, 0, s)
	l.stats.Preemptions++
}

// remember lets later sequences use what a sequence has computed.
func (l *loop) remember(s *sequence) {
	if n := s.cache.Len(); n > s.known && !l.options.NoPrefixCache {
		l.prefixes.insert(s.tokens[:n], s.adapter, s.cache)
		s.known = n
	}
}

// forget gives a sequence's memory back; what it holds stays known as long as
// nobody needs the memory.
func (l *loop) forget(s *sequence) {
	l.remember(s)
	s.cache.Reset()
	s.known = 0
	for n := l.prefixes.evictable(); n > l.options.keepBlocks && l.prefixes.evict(); n-- {
	}
}
