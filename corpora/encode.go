package corpora

import (
	"unicode/utf8"

	"causerie/models/dialogue"
)

// Tokenizer is what this package needs of a tokenizer; tokenizer.Tokenizer has it.
type Tokenizer interface {
	// Encode appends the ids of plain text.
	Encode(dst []int32, text string) []int32
	// AppendToken appends the bytes that a token stands for.
	AppendToken(dst []byte, id int32) []byte
}

// Encode spells a dialogue in ids and cuts it into examples.
//
// A dialogue that is longer than the context becomes several windows. Each
// begins as a dialogue does: with what the template begins with, the leading
// system turns (which every window repeats) and a turn of the user. So windows
// are cut between exchanges, an exchange being what the user says and all that
// is answered to it. A window holds as many whole exchanges as fit, and
// no text is learnt twice. Only the last one has the template's end.
//
// When a single exchange is longer than the context, its longest turns are
// shortened, at their ends and evenly, until it fits; the marker that ends such
// a turn is kept but not learnt, as the text did not end there. System turns
// that take more than half of the context are shortened in the same way.
//
// Windows in which nothing is learnt are left out.
func Encode(t Tokenizer, tpl dialogue.Template, d Dialogue, o EncodeOptions) []Example {
	var out []Example
	newEncoder(t, tpl, o).encode(d, func(w *window) {
		n := len(w.ids) - 1
		e := Example{
			Tokens:    append([]int32(nil), w.ids[:n]...),
			Targets:   append([]int32(nil), w.ids[1:]...),
			Weights:   append([]float32(nil), w.weights[1:]...),
			Text:      append([]bool(nil), w.text[1:]...),
			TextBytes: w.textBytes,
		}
		out = append(out, e)
	})
	return out
}

// window is an example before it is shifted: weights[i] and text[i] belong to
// the prediction of ids[i].
type window struct {
	ids       []int32
	weights   []float32
	text      []bool
	textBytes int
}

func (w *window) add(ids []int32, weight float32, text bool) {
	for _, id := range ids {
		w.ids = append(w.ids, id)
		w.weights = append(w.weights, weight)
		w.text = append(w.text, text && weight != 0)
	}
}

// spelled is a turn in ids.
type spelled struct {
	turn          dialogue.Turn
	ids           []int32
	before, after int  // how many of ids are markers
	cut           bool // the text was shortened
}

func (s *spelled) textIDs() []int32 { return s.ids[s.before : len(s.ids)-s.after] }

// encoder keeps its buffers from dialogue to dialogue.
type encoder struct {
	t       Tokenizer
	tpl     dialogue.Template
	loss    Loss
	limit   int // of ids in a window; 0 = none
	begin   []int32
	end     []int32
	arena   []int32
	spelled []spelled
	window  window
	scratch []int32
	bytes   []byte
}

func newEncoder(t Tokenizer, tpl dialogue.Template, o EncodeOptions) *encoder {
	e := &encoder{t: t, tpl: tpl, loss: o.Loss, begin: tpl.Begin(nil), end: tpl.End(nil)}
	if o.Context > 0 {
		e.limit = o.Context + 1 // the last id is only a target
	}
	return e
}

// encode calls emit for every window of d. The window is valid during the call.
func (e *encoder) encode(d Dialogue, emit func(*window)) {
	e.arena, e.spelled = e.arena[:0], e.spelled[:0]
	for _, turn := range d.Turns {
		e.spelled = append(e.spelled, e.spell(turn))
	}
	prelude, rest := e.spelled, []spelled(nil)
	for i, s := range e.spelled {
		if s.turn.Role != dialogue.RoleSystem {
			prelude, rest = e.spelled[:i], e.spelled[i:]
			break
		}
	}
	if e.limit == 0 {
		e.emit(prelude, rest, true, emit)
		return
	}
	if half := e.limit / 2; length(prelude) > half {
		prelude = e.fit(prelude, half)
	}
	room := e.limit - len(e.begin) - length(prelude)
	for start := 0; start < len(rest); {
		stop := nextExchange(rest, start)
		turns := rest[start:stop]
		if n := length(turns) + e.tail(rest, stop); n > room {
			turns = e.fit(turns, room-e.tail(rest, stop))
		} else {
			for stop < len(rest) {
				next := nextExchange(rest, stop)
				if length(rest[start:next])+e.tail(rest, next) > room {
					break
				}
				stop = next
			}
			turns = rest[start:stop]
		}
		e.emit(prelude, turns, stop == len(rest), emit)
		start = stop
	}
}

// tail is what the end of the dialogue takes, if rest[:stop] is its end.
func (e *encoder) tail(rest []spelled, stop int) int {
	if stop == len(rest) {
		return len(e.end)
	}
	return 0
}

// nextExchange returns the index after the exchange that starts at i: that of
// the first turn after an answer which is no answer itself.
func nextExchange(turns []spelled, i int) int {
	for i++; i < len(turns); i++ {
		if turns[i].turn.Role != dialogue.RoleAssistant && turns[i-1].turn.Role == dialogue.RoleAssistant {
			break
		}
	}
	return i
}

func length(turns []spelled) (n int) {
	for i := range turns {
		n += len(turns[i].ids)
	}
	return n
}

func (e *encoder) spell(turn dialogue.Turn) spelled {
	start := len(e.arena)
	e.arena = e.tpl.AppendTurn(e.arena, turn)
	before, after := e.tpl.Markers(turn.Role)
	return spelled{turn: turn, ids: e.arena[start:len(e.arena):len(e.arena)], before: before, after: after}
}

// fit shortens the longest turns until all of them take at most room ids.
// Where not even one id of text of each has room, the first turns are dropped.
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

// emit puts a window together.
func (e *encoder) emit(prelude, turns []spelled, last bool, emit func(*window)) {
	w := &e.window
	w.ids, w.weights, w.text, w.textBytes = w.ids[:0], w.weights[:0], w.text[:0], 0
	w.add(e.begin, 0, false)
	for i := range prelude {
		w.add(prelude[i].ids, 0, false)
	}
	for i := range turns {
		e.addTurn(w, &turns[i])
	}
	if last && len(turns) > 0 {
		var weight float32
		if s := &turns[len(turns)-1]; !s.cut && e.loss != LossReplies {
			weight = e.weight(s)
		}
		w.add(e.end, weight, false)
	}
	if len(w.ids) < 2 {
		return
	}
	for _, weight := range w.weights[1:] {
		if weight != 0 {
			emit(w)
			return
		}
	}
}

// weight is how much a turn's text counts.
func (e *encoder) weight(s *spelled) float32 {
	if s.turn.Role == dialogue.RoleSystem || e.loss == LossReplies && s.turn.Role != dialogue.RoleAssistant {
		return 0
	}
	return s.turn.Weight
}

func (e *encoder) addTurn(w *window, s *spelled) {
	weight := e.weight(s)
	open, closing := weight, weight
	if e.loss == LossReplies {
		open = 0 // the prompt ends with the marker that opens the reply
	}
	if s.cut {
		closing = 0
	}
	w.add(s.ids[:s.before], open, false)
	text := s.textIDs()
	if weight != 0 && len(text) > 0 {
		w.textBytes += len(s.turn.Text)
		if len(w.ids) == 0 {
			// The very first id of a window is nobody's target.
			e.bytes = e.t.AppendToken(e.bytes[:0], text[0])
			w.textBytes -= min(len(e.bytes), len(s.turn.Text))
		}
	}
	w.add(text, weight, true)
	w.add(s.ids[len(s.ids)-s.after:], closing, false)
}
