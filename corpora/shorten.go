package corpora

import (
	"unicode/utf8"

	"causerie/models/dialogue"
)

// split emits an exchange that does not fit into a window.
func (e *encoder) split(prelude, exchange []spelled, room int, last bool, emit func(*window)) {
	answer := 0
	for answer < len(exchange) && exchange[answer].turn.Role != dialogue.RoleAssistant {
		answer++
	}
	question, answers := exchange[:answer], exchange[answer:]
	tail := 0
	if last {
		tail = len(e.end)
	}
	if len(answers) == 0 {
		e.emit(prelude, e.shorten(question, room-tail), last, emit)
		return
	}
	if len(question) > 0 {
		e.emit(prelude, e.shorten(question, room), false, emit)
	}
	var context []spelled
	if n := len(question); n > 0 {
		context = e.fit(question, max(room/4, atLeast(question[n-1:]), room-tail-length(answers)))
	}
	for i := range context {
		context[i].repeated = true
	}
	answers = e.shorten(answers, room-tail-length(context))
	e.emit(prelude, append(context, answers...), last, emit)
}

// shorten is fit, and counts the text that is lost.
func (e *encoder) shorten(turns []spelled, room int) []spelled {
	out := e.fit(turns, room)
	e.cutBytes += e.learnable(turns) - e.learnable(out)
	return out
}

// learnable is the length of the text that counts.
func (e *encoder) learnable(turns []spelled) (n int) {
	for i := range turns {
		if e.weight(&turns[i]) != 0 {
			n += len(turns[i].turn.Text)
		}
	}
	return n
}

// fit returns a copy of turns in which the longest are shortened until all of
// them take at most room ids. Where not even one id of text of each has room,
// the first turns are dropped.
func (e *encoder) fit(turns []spelled, room int) []spelled {
	for len(turns) > 0 && atLeast(turns) > room {
		turns = turns[1:]
	}
	// The largest limit on a turn's length for which the sum fits.
	lo, hi := 0, room
	for lo < hi {
		mid := (lo + hi + 1) / 2
		sum := 0
		for i := range turns {
			sum += min(len(turns[i].ids), mid)
		}
		if sum <= room {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	out := make([]spelled, 0, len(turns))
	for _, s := range turns {
		if len(s.ids) > lo {
			s.turn.Text = e.prefix(s.turn.Text, lo-s.before-s.after)
			if s.turn.Text == "" {
				continue
			}
			s = e.spell(s.turn)
			s.cut = true
		}
		out = append(out, s)
	}
	return out
}

// atLeast is the length of turns with one id of text each.
func atLeast(turns []spelled) (n int) {
	for i := range turns {
		n += min(len(turns[i].ids), turns[i].before+turns[i].after+1)
	}
	return n
}

// prefix returns the longest beginning of text, in whole runes, that takes at
// most n tokens.
func (e *encoder) prefix(text string, n int) string {
	fits := func(size int) bool {
		e.scratch = e.t.Encode(e.scratch[:0], text[:size])
		return len(e.scratch) <= n
	}
	if n <= 0 {
		return ""
	}
	// Double first: a text may be a thousand times too long.
	lo, hi := 0, min(len(text), 4*n)
	for hi < len(text) && fits(runeStart(text, hi)) {
		lo, hi = runeStart(text, hi), min(len(text), 2*hi)
	}
	for hi = runeStart(text, hi); lo < hi; {
		mid := runeStart(text, (lo+hi+1)/2)
		if mid <= lo {
			_, size := utf8.DecodeRuneInString(text[lo:])
			mid = lo + size
		}
		if fits(mid) {
			lo = mid
		} else {
			hi = runeStart(text, mid-1)
		}
	}
	return text[:lo]
}

// runeStart moves i back to where a rune starts.
func runeStart(text string, i int) int {
	for i > 0 && i < len(text) && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}
