package corpora

import (
	"slices"

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
// no text is learnt twice. Only the last one has the template's end, if there
// is room for it.
//
// An exchange that is longer than the context is cut between turns: first come
// windows with the question, then windows with the answers, in front of which
// as much of the question is repeated, unlearnt, as there is room for (a quarter
// of the window at least). A turn that is longer than the context is shortened,
// at its end and in whole runes; the marker that ends it is kept but not learnt,
// as the text did not end there. System turns that take more than half of the
// context are shortened too.
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
	repeated      bool // another window has learnt it
}

func (s *spelled) textIDs() []int32 { return s.ids[s.before : len(s.ids)-s.after] }

// encoder keeps its buffers from dialogue to dialogue.
type encoder struct {
	t       Tokenizer
	tpl     dialogue.Template
	loss    Loss
	pairs   bool // see EncodeOptions.Preferences
	limit   int  // of ids in a window; 0 = none
	begin   []int32
	end     []int32
	arena   []int32
	spelled []spelled
	window  window
	scratch []int32
	bytes   []byte

	cutBytes int // of text that would be learnt, were the context longer
}

func newEncoder(t Tokenizer, tpl dialogue.Template, o EncodeOptions) *encoder {
	e := &encoder{t: t, tpl: tpl, loss: o.Loss, begin: tpl.Begin(nil), end: tpl.End(nil)}
	if o.Context > 0 {
		e.limit = o.Context + 1 // the last id is only a target
	}
	if o.Preferences {
		e.pairs, e.loss = true, LossReplies
	}
	return e
}

// encode calls emit for every window of d. The window is valid during the call.
func (e *encoder) encode(d Dialogue, emit func(*window)) {
	e.arena = e.arena[:0]
	if e.pairs {
		e.pair(d, emit)
		return
	}
	prelude, rest := e.spellTurns(d.Turns)
	if e.limit == 0 {
		e.emit(prelude, rest, true, emit)
		return
	}
	room := e.limit - len(e.begin) - length(prelude)
	for start := 0; start < len(rest); {
		stop := nextExchange(rest, start)
		if length(rest[start:stop]) > room {
			e.split(prelude, rest[start:stop], room, stop == len(rest), emit)
			start = stop
			continue
		}
		for stop < len(rest) {
			next := nextExchange(rest, stop)
			if length(rest[start:next]) > room {
				break
			}
			stop = next
		}
		e.emit(prelude, rest[start:stop], stop == len(rest), emit)
		start = stop
	}
}

// spellTurns spells turns. The prelude are the leading system turns, shortened
// if they take more than half of the context.
func (e *encoder) spellTurns(turns []dialogue.Turn) (prelude, rest []spelled) {
	e.spelled = e.spelled[:0]
	for _, turn := range turns {
		e.spelled = append(e.spelled, e.spell(turn))
	}
	first := slices.IndexFunc(e.spelled, func(s spelled) bool { return s.turn.Role != dialogue.RoleSystem })
	if first < 0 {
		first = len(e.spelled)
	}
	prelude, rest = e.spelled[:first], e.spelled[first:]
	if half := e.limit / 2; e.limit > 0 && length(prelude) > half {
		prelude = e.fit(prelude, half)
	}
	return prelude, rest
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
	if last && len(turns) > 0 && (e.limit == 0 || len(w.ids)+len(e.end) <= e.limit) {
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
	if s.repeated || s.turn.Role == dialogue.RoleSystem || e.loss == LossReplies && s.turn.Role != dialogue.RoleAssistant {
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
