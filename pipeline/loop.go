package pipeline

import (
	"slices"
	"sync"
	"time"

	"causerie/models/gpt2"
	"causerie/models/kernels"
)

// loop owns the model. It holds everything that runs or waits and computes it
// step by step: each step is one forward pass over a ragged batch of the next
// rows of every reply being written, pieces of prompts and whole texts to
// embed; then the next token of each reply is picked.
//
// Only the loop's goroutine touches its fields, but for the inbox and the
// published statistics.
type loop struct {
	model    *gpt2.Model
	options  EngineOptions
	pool     *kernels.Pool
	runner   *gpt2.Runner
	memory   *gpt2.KVMemory
	prefixes prefixes

	waiting   []*sequence // in the order of arrival
	preempted []*sequence // likewise; they go before those that wait
	running   []*sequence // likewise, older than both
	embeds    []*embedJob // likewise
	plan      plan
	payoffs   map[int]*payoff // of guesses, by how many replies are being written
	stats     Stats
	claim     claim

	inbox   inbox
	stopped chan struct{}
}

// inbox is how work reaches the loop.
type inbox struct {
	mu        sync.Mutex
	sequences []*sequence
	embeds    []*embedJob
	closed    bool
	stats     Stats // as of the last step
	wake      chan struct{}
}

// newLoop starts the goroutine that owns the model; close ends it.
func newLoop(model *gpt2.Model, pool *kernels.Pool, options EngineOptions) *loop {
	l := &loop{
		model: model, options: options, pool: pool,
		inbox: inbox{wake: make(chan struct{}, 1)}, stopped: make(chan struct{}),
	}
	l.renew()
	go l.run()
	return l
}

// renew starts with new memory.
func (l *loop) renew() {
	l.runner = gpt2.NewRunner(l.model, l.pool)
	l.memory = l.model.NewKVMemory(l.options.KVBytes)
	l.prefixes = prefixes{}
}

// close ends the loop after its current step. Nobody may wait for replies any more.
func (l *loop) close() {
	l.tell(func(in *inbox) { in.closed = true })
	<-l.stopped
}

// tell changes the inbox and wakes the loop.
func (l *loop) tell(change func(in *inbox)) {
	l.inbox.mu.Lock()
	change(&l.inbox)
	l.inbox.mu.Unlock()
	select {
	case l.inbox.wake <- struct{}{}:
	default: // it was woken already
	}
}

func (l *loop) run() {
	defer close(l.stopped)
	for l.receive() {
		l.step()
	}
}

// receive takes in what has arrived and waits while there is nothing to do. It
// returns false when the loop is closed.
func (l *loop) receive() bool {
	for {
		if l.options.before != nil {
			l.options.before()
		}
		in := &l.inbox
		in.mu.Lock()
		for _, s := range in.sequences {
			s.cache = l.memory.NewCache()
		}
		l.waiting = append(l.waiting, in.sequences...)
		l.embeds = append(l.embeds, in.embeds...)
		in.sequences, in.embeds = in.sequences[:0], in.embeds[:0]
		l.leave()
		l.publish()
		closed := in.closed
		in.mu.Unlock()
		busy := len(l.waiting)+len(l.preempted)+len(l.running) > 0 || slices.ContainsFunc(l.embeds, (*embedJob).open)
		l.claim.set(busy && !closed)
		if closed {
			return false
		}
		if busy {
			return true
		}
		<-in.wake
	}
}

// leave drops what nobody waits for any more.
func (l *loop) leave() {
	gone := func(s *sequence) bool { return s.request.gone.Load() }
	l.waiting = slices.DeleteFunc(l.waiting, gone)
	l.preempted = slices.DeleteFunc(l.preempted, gone)
	l.running = slices.DeleteFunc(l.running, func(s *sequence) bool {
		if !gone(s) {
			return false
		}
		l.forget(s)
		return true
	})
	l.embeds = slices.DeleteFunc(l.embeds, func(j *embedJob) bool { return j.gone.Load() })
}

// step plans and computes one step. Whatever goes wrong in it, the loop goes on.
func (l *loop) step() {
	start := time.Now()
	err := guard(func() error {
		l.schedule()
		if l.plan.empty() {
			return nil
		}
		return l.forward()
	})
	if err == nil {
		err = guard(func() error {
			l.pick()
			if !l.plan.mixed {
				l.observe(time.Since(start))
			}
			l.settle()
			return nil
		})
	}
	if err != nil {
		l.collapse(err)
	}
	l.stats.Steps++
}

// forward computes the planned segments.
func (l *loop) forward() error {
	out := &l.plan.out
	out.Logits = growTo(out.Logits, len(out.LogitRows)*l.model.Config.VocabSize)
	out.Hidden = growTo(out.Hidden, len(out.HiddenRows)*l.model.Config.Width)
	return l.runner.Step(l.plan.segments, *out)
}

// pick lets every sequence take its next tokens and pools embeddings. That
// touches nothing they share, so it runs on all threads.
func (l *loop) pick() {
	parts, embeds := l.plan.parts, l.plan.embeds
	l.pool.Run(len(parts)+len(embeds), func(task, _ int) {
		if task < len(parts) {
			l.advance(&parts[task])
			return
		}
		embeds[task-len(parts)].pool(l.plan.out.Hidden, l.model.Config.Width)
	})
}

// advance picks a sequence's tokens. What panics here is the sequence's own
// fault, and ends its request alone.
func (l *loop) advance(p *part) {
	if p.wanted == 0 {
		return
	}
	s, vocab := p.sequence, l.model.Config.VocabSize
	logits := l.plan.out.Logits[p.row*vocab : (p.row+p.wanted)*vocab]
	err := guard(func() error {
		if s.scoresPrompt() {
			s.scorePrompt(logits, vocab, p.at)
			if p.at+p.wanted < len(s.tokens) {
				return nil
			}
			logits = logits[len(logits)-vocab:]
		}
		p.right = s.advance(logits, p.guesses)
		return nil
	})
	if err != nil {
		s.fail(err)
	}
}

// settle brings everything in line with the tokens that were picked.
func (l *loop) settle() {
	for i := range l.plan.parts {
		p := &l.plan.parts[i]
		s := p.sequence
		if s.failed {
			s.cache.Reset()
			continue
		}
		s.cache.Truncate(len(s.tokens) - 1) // wrong guesses go
		if p.wanted > 0 {
			l.stats.GeneratedTokens += int64(p.right + 1)
		}
		s.guess.learn(len(p.guesses), p.right, l.options.SpeculationRows-1)
		l.stats.GuessedTokens += int64(len(p.guesses))
		l.stats.AcceptedTokens += int64(p.right)
		n := s.cache.Len()
		if s.done {
			l.forget(s)
		} else if n/gpt2.BlockTokens > s.known/gpt2.BlockTokens || s.known < s.prompt && n >= s.prompt {
			l.remember(s)
		}
	}
	l.running = slices.DeleteFunc(l.running, func(s *sequence) bool { return s.done })
	l.settleEmbeds()
}

// publish makes the statistics readable from outside; the inbox is locked.
func (l *loop) publish() {
	s := &l.stats
	s.Running, s.Waiting = len(l.running), len(l.waiting)+len(l.preempted)
	block := l.memory.BlockBytes()
	s.KVBytes, s.KVUsed = int64(l.memory.Limit())*block, int64(l.memory.InUse())*block
	s.KVMade, s.KVCached = int64(l.memory.Made())*block, int64(l.prefixes.nodes)*block
	l.inbox.stats = *s
}
