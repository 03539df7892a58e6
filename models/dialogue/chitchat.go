package dialogue

// chitchat is the spelling of GPT2-chitchat and its many relatives, Chinese
// GPT-2s with BERT's vocabulary:
//
//	[CLS]text[SEP]text[SEP]…
//
// Who speaks is told by counting: the speakers take turns.
type chitchat struct {
	t     Tokenizer
	sep   int32
	cls   int32 // -1 when the vocabulary lacks it
	stops []int32
}

func newChitchat(t Tokenizer) (*chitchat, bool) {
	sep, ok := t.SpecialID("[SEP]")
	if !ok {
		return nil, false
	}
	c := &chitchat{t: t, sep: sep, cls: -1, stops: []int32{sep}}
	// [CLS] opens a conversation and never stands within one: a model that
	// writes it has finished.
	if id, ok := t.SpecialID("[CLS]"); ok {
		c.cls = id
		c.stops = append(c.stops, id)
	}
	return c, true
}

func (c *chitchat) AppendTurn(dst []int32, t Turn) []int32 {
	if t.Role == RoleSystem {
		return dst
	}
	return append(c.t.Encode(dst, t.Text), c.sep)
}

func (c *chitchat) AppendPrompt(dst []int32) []int32 { return dst }

func (c *chitchat) Begin(dst []int32) []int32 {
	if c.cls < 0 {
		return dst
	}
	return append(dst, c.cls)
}

// End appends nothing: the last turn's [SEP] is the end.
func (c *chitchat) End(dst []int32) []int32 { return dst }

func (c *chitchat) Stops() []int32 { return c.stops }

func (c *chitchat) Markers(r Role) (before, after int) {
	if r == RoleSystem {
		return 0, 0
	}
	return 0, 1
}

func (c *chitchat) SystemTurns() bool { return false }
