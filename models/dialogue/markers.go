package dialogue

// markers is the spelling of the models that this project trains:
//
//	<|system|>text<|end|><|user|>text<|end|><|assistant|>text<|end|>…<|endoftext|>
type markers struct {
	t                    Tokenizer
	user, assistant, end int32
	system, endOfText    int32 // -1 when the vocabulary lacks them
	stops                []int32
}

func newMarkers(t Tokenizer) (*markers, bool) {
	m := &markers{t: t, system: -1, endOfText: -1}
	for name, id := range map[string]*int32{MarkerUser: &m.user, MarkerAssistant: &m.assistant, MarkerEnd: &m.end} {
		var ok bool
		if *id, ok = t.SpecialID(name); !ok {
			return nil, false
		}
	}
	// A model that forgets <|end|> and opens the next turn has ended its reply
	// all the same, so every marker stops it.
	m.stops = []int32{m.end}
	if id, ok := t.SpecialID(EndOfText); ok {
		m.endOfText = id
		m.stops = append(m.stops, id)
	}
	m.stops = append(m.stops, m.user, m.assistant)
	if id, ok := t.SpecialID(MarkerSystem); ok {
		m.system = id
		m.stops = append(m.stops, id)
	}
	return m, true
}

func (m *markers) marker(r Role) int32 {
	switch r {
	case RoleSystem:
		return m.system
	case RoleAssistant:
		return m.assistant
	default:
		return m.user
	}
}

func (m *markers) AppendTurn(dst []int32, t Turn) []int32 {
	id := m.marker(t.Role)
	if id < 0 {
		return dst
	}
	dst = m.t.Encode(append(dst, id), t.Text)
	return append(dst, m.end)
}

func (m *markers) AppendPrompt(dst []int32) []int32 { return append(dst, m.assistant) }

func (m *markers) Begin(dst []int32) []int32 { return dst }

func (m *markers) End(dst []int32) []int32 {
	if m.endOfText < 0 {
		return dst
	}
	return append(dst, m.endOfText)
}

func (m *markers) Stops() []int32 { return m.stops }

func (m *markers) Markers(r Role) (before, after int) {
	if m.marker(r) < 0 {
		return 0, 0
	}
	return 1, 1
}

func (m *markers) SystemTurns() bool { return m.system >= 0 }
