// Package postprocess makes a reply out of a model's raw text while it is
// still being written.
//
// It is a chain of small stages. Each takes a piece of text and gives back
// what is certain by then, holding the rest for later:
//
//	tidy.go       spaces for Chinese and for English
//	roles.go      "Assistant:" before the reply goes
//	stops.go      the reply ends before a stop string or the next speaker's name
//	sentences.go  a last half sentence of a reply that was cut short goes
//
// None of them looks at where one piece ends and the next begins. So the
// pieces put together are the same text however the model's tokens cut it, and
// a reply that was not streamed is that same text.
package postprocess

// Options say what happens to a text. The zero value leaves it as it is.
type Options struct {
	Spacing        Spacing  // which spaces are put right
	Stops          []string // end the text; not empty strings
	Roles          bool     // role prefixes and turn markers are removed, as in a chat
	WholeSentences bool     // see [Chain.Flush]
}

// Chain is the stages in their order, for one text.
type Chain struct {
	exact     bool
	tidier    tidier
	roles     roleStripper
	stops     stopper
	sentences *sentenceHolder // nil: half sentences stay
}

// New makes a chain.
func New(o Options) *Chain {
	c := &Chain{
		exact:  o.Spacing == SpacingExact,
		tidier: tidier{words: o.Spacing == SpacingWords},
		roles:  roleStripper{passing: !o.Roles},
		stops:  stopper{stops: o.Stops},
	}
	if o.Roles {
		c.stops.stops = append(append([]string(nil), o.Stops...), roleStops...)
	}
	if o.WholeSentences {
		c.sentences = &sentenceHolder{}
	}
	return c
}

// Stopped reports whether a stop string has ended the text.
func (c *Chain) Stopped() bool { return c.stops.stopped }

// Push takes the next piece of the model's text, whole runes, and returns what
// is certain of the reply.
func (c *Chain) Push(text string) string {
	if !c.exact {
		text = c.tidier.push(text)
	}
	return c.sentence(c.stops.push(c.roles.push(text)))
}

// Flush ends the text and returns the rest of the reply. cut says that the
// model had more to say: then, when whole sentences are asked for, a last half
// one is dropped, unless it is all there is.
func (c *Chain) Flush(cut bool) string {
	text := ""
	if !c.exact {
		text = c.tidier.flush()
	}
	text = c.roles.push(text) + c.roles.flush()
	text = c.stops.push(text) + c.stops.flush()
	if c.sentences == nil {
		return text
	}
	return c.sentences.push(text) + c.sentences.flush(cut && !c.Stopped())
}

func (c *Chain) sentence(text string) string {
	if c.sentences == nil {
		return text
	}
	return c.sentences.push(text)
}

// Text runs a whole text through a chain.
func Text(text string, cut bool, o Options) string {
	c := New(o)
	return c.Push(text) + c.Flush(cut)
}
