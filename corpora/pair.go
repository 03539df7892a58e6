package corpora

import (
	"slices"

	"causerie/models/dialogue"
)

// reversed is the opposite preference.
func (d Dialogue) reversed() Dialogue {
	last := len(d.Turns) - 1
	better := d.Turns[last].Text
	d.Turns = append(slices.Clone(d.Turns[:last]), dialogue.Assistant(d.Rejected))
	d.Rejected = better
	return d
}

// pair calls emit for the two windows of a preference, that of the better reply
// first. They begin alike and differ in the reply alone, which is all that
// counts in them.
//
// Where a window would be longer than the context, the oldest exchanges go, as
// they do when a model is asked for a reply; then the last question and the
// replies are shortened. Where a question has no room at all, or replies are the
// same as far as there is room for them, there is no pair.
func (e *encoder) pair(d Dialogue, emit func(*window)) {
	last := len(d.Turns) - 1
	if d.Rejected == "" || last < 1 {
		return
	}
	prelude, rest := e.spellTurns(d.Turns[:last])
	better, worse := e.spell(d.Turns[last]), e.spell(dialogue.Assistant(d.Rejected))
	if e.limit > 0 {
		room := e.limit - len(e.begin) - length(prelude)
		question := rest[len(rest)-1]
		most := room - min(len(question.ids), max(room/4, atLeast(question)))
		if better, worse = e.reply(better, most), e.reply(worse, most); len(better.ids) == 0 || len(worse.ids) == 0 {
			return
		}
		rest = e.recent(rest, room-max(len(better.ids), len(worse.ids)))
	}
	if length(rest) == 0 || slices.Equal(better.ids, worse.ids) {
		return
	}
	for i := range rest {
		rest[i].repeated = true // read, not learnt
	}
	for _, reply := range []spelled{better, worse} {
		e.emit(prelude, append(slices.Clone(rest), reply), false, emit)
	}
}

// reply is a reply shortened to so many ids, or nothing where it has no room.
func (e *encoder) reply(s spelled, most int) spelled {
	if len(s.ids) <= most {
		return s
	}
	short := e.shorten([]spelled{s}, most)
	if len(short) == 0 {
		return spelled{}
	}
	return short[0]
}

// recent is the last turns of a prompt: as many whole exchanges as have room, at
// least one, which is shortened if it must be.
func (e *encoder) recent(turns []spelled, room int) []spelled {
	for length(turns) > room {
		next := nextExchange(turns, 0)
		if next == len(turns) {
			return e.fit(turns, room)
		}
		turns = turns[next:]
	}
	return turns
}
