package pipeline

import (
	"fmt"
	"slices"
	"time"

	"causerie/models/gpt2"
	"causerie/pipeline/grammar"
	"causerie/pipeline/sampling"
)

// sequence is one reply being written: its tokens, their keys and values, and
// all that says how it goes on. It belongs to the loop; while a step's tokens
// are picked, to the worker that picks its.
type sequence struct {
	request *request
	index   int // which of the request's replies

	tokens []int32 // prompt and reply, and behind them room for guesses
	prompt int     // how many of them are the prompt
	cache  *gpt2.Cache

	adapter *gpt2.Adapter // of the request; nil: the model's own, if any

	known  int // how many of them the prefix tree has seen
	begun  bool
	score  *scorer // nil: no log-probabilities
	scored int     // prompt tokens whose log-probabilities were sent

	max, min int     // tokens of the reply, before ends may be picked
	ends     []int32 // ids that end the reply
	sampler  *sampling.Sampler
	matcher  *grammar.Matcher // nil: any text
	writer   *writer
	guess    guesser

	wantsTokens  bool // the reply's log-probabilities are wanted
	wantsPrompt  bool // the prompt's are
	done, failed bool
}

// pending is how many tokens have no keys and values yet: one while the reply
// is written, more before that.
func (s *sequence) pending() int { return len(s.tokens) - s.cache.Len() }

// written is how many tokens the reply has.
func (s *sequence) written() int { return len(s.tokens) - s.prompt }

// scoresPrompt tells whether the next rows' logits are all wanted, for the
// log-probabilities of the prompt.
func (s *sequence) scoresPrompt() bool { return s.wantsPrompt && s.scored < s.prompt-1 }

// advance picks the tokens that follow rows of logits: those of the newest
// token and of each guess behind it. A guess is right when it is what the
// sampler picks anyway, so guessing changes no reply. It returns how many were
// right.
func (s *sequence) advance(logits []float32, guesses []int32) int {
	vocab := len(logits) / (1 + len(guesses))
	for i := 0; ; i++ {
		id, ok := s.pick(logits[i*vocab : (i+1)*vocab])
		if !ok || s.done || i == len(guesses) || guesses[i] != id {
			return i
		}
	}
}

// pick takes the next token from its logits, which it overwrites, and writes it.
func (s *sequence) pick(logits []float32) (int32, bool) {
	if s.wantsTokens {
		s.score.keep(logits)
	}
	var banned []int32
	if s.written() < s.min {
		banned = s.ends
	}
	if s.matcher != nil {
		var ends []int32
		if s.matcher.Ends() {
			ends = s.ends
		}
		set, err := s.matcher.Allowed(s.max - s.written())
		if err != nil {
			s.fail(&OptionError{Field: "response_format", Problem: "cannot be followed: " + err.Error()})
			return 0, false
		}
		sampling.Keep(logits, set, ends)
	}
	id, err := s.sampler.NextWithout(logits, banned)
	if err != nil {
		s.fail(err)
		return 0, false
	}
	s.write(id)
	return id, true
}

// write adds a token to the reply and its text to what the caller gets.
func (s *sequence) write(id int32) {
	e := event{reply: s.index, token: true, id: id}
	s.tokens = append(s.tokens, id)
	finish := FinishReason("")
	switch {
	case slices.Contains(s.ends, id):
		finish = FinishStop
	default:
		e.counted = true
		if s.wantsTokens {
			e.logProb = s.score.score(id)
		}
		var whole bool
		e.text, whole = s.text(id)
		if s.writer.stopped() || whole {
			finish = FinishStop
		} else if s.written() == s.max {
			finish = FinishLength
		}
	}
	if finish != "" || s.written() == 1 {
		e.at = time.Now()
	}
	if finish != "" {
		e.text += s.writer.flush(finish == FinishLength)
		if s.writer.stopped() { // what was held back may complete a stop string
			finish = FinishStop
		}
		e.finish, s.done = finish, true
	}
	s.request.post(e)
}

// text is what a token adds to the text that is certain; whole says that nothing
// may follow.
func (s *sequence) text(id int32) (text string, whole bool) {
	if s.matcher == nil {
		return s.writer.push(id), false
	}
	piece, ok := s.matcher.Accept(id)
	if !ok {
		panic(fmt.Sprintf("token %d was picked where the grammar does not allow it", id))
	}
	return s.writer.pushBytes(piece), s.matcher.Done(s.max - s.written())
}

// scorePrompt sends the log-probabilities of the prompt tokens that follow
// rows of logits, the first being that of token at.
func (s *sequence) scorePrompt(logits []float32, vocab, at int) {
	var scores []LogProb
	for i := range len(logits) / vocab {
		if next := at + i + 1; next == s.scored+1 && next < s.prompt {
			scores = append(scores, *s.score.of(logits[i*vocab:(i+1)*vocab], s.tokens[next]))
			s.scored++
		}
	}
	s.request.post(event{reply: s.index, prompted: scores})
}

// fail ends the request with an error.
func (s *sequence) fail(err error) {
	s.done, s.failed = true, true
	s.request.post(event{reply: s.index, err: err})
}
