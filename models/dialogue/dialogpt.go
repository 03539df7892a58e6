package dialogue

// dialoGPT is the spelling of DialoGPT (Zhang et al. 2020):
//
//	text<|endoftext|>text<|endoftext|>…
//
// Who speaks is told by counting: the speakers take turns.
type dialoGPT struct {
	t     Tokenizer
	sep   []int32 // what ends a turn
	stops []int32
}

func newDialoGPT(t Tokenizer) *dialoGPT {
	if id, ok := t.SpecialID(EndOfText); ok {
		sep := []int32{id}
		return &dialoGPT{t: t, sep: sep, stops: sep}
	}
	// No special token at all: one turn a line.
	d := &dialoGPT{t: t, sep: t.Encode(nil, "\n")}
	if len(d.sep) == 1 {
		d.stops = d.sep
	}
	return d
}

func (d *dialoGPT) AppendTurn(dst []int32, t Turn) []int32 {
	if t.Role == RoleSystem {
		return dst
	}
	return append(d.t.Encode(dst, t.Text), d.sep...)
}

func (d *dialoGPT) AppendPrompt(dst []int32) []int32 { return dst }

func (d *dialoGPT) Begin(dst []int32) []int32 { return dst }

// End appends nothing: the last turn's separator is the end.
func (d *dialoGPT) End(dst []int32) []int32 { return dst }

func (d *dialoGPT) Stops() []int32 { return d.stops }

func (d *dialoGPT) Markers(r Role) (before, after int) {
	if r == RoleSystem {
		return 0, 0
	}
	return 0, len(d.sep)
}

func (d *dialoGPT) SystemTurns() bool { return false }
