package corpora

import (
	"slices"
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
	e.spread(prelude, nil, question, room, last && len(answers) == 0, emit)
	var context []spelled
	if answer > 0 && len(answers) > 0 {
		context = e.fit(question, max(room/4, atLeast(question[answer-1]), room-length(answers)))
	}
	for i := range context {
		context[i].repeated = true
	}
	e.spread(prelude, context, answers, room, last, emit)
}

// spread emits turns in as many windows as they need, each with the context in
// front of them.
func (e *encoder) spread(prelude, context, turns []spelled, room int, last bool, emit func(*window)) {
	room -= length(context)
	for start := 0; start < len(turns); {
		stop, n := start+1, len(turns[start].ids)
		for stop < len(turns) && n+len(turns[stop].ids) <= room {
			n += len(turns[stop].ids)
			stop++
		}
		part := turns[start:stop]
		if n > room {
			part = e.shorten(part, room)
		}
		e.emit(prelude, slices.Concat(context, part), last && stop == len(turns), emit)
		start = stop
	}
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
	first, least := len(turns), 0
	for first > 0 {
		if least += atLeast(turns[first-1]); least > room {
			break
		}
		first--
	}
	turns = turns[first:]
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

// atLeast is the length of a turn with one id of text.
func atLeast(s spelled) int { return min(len(s.ids), s.before+s.after+1) }

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
