package postprocess

import (
	"strings"

	"causerie/models/dialogue"
)

// A model that learnt from transcripts sometimes writes the transcript: it
// puts its own role before the reply, or goes on with what the user might say.
// The first is taken off, the second ends the reply.

// roleNames are how transcripts name speakers before a colon.
var roleNames = []string{
	"User", "user", "USER", "Human", "human", "Assistant", "assistant", "ASSISTANT", "System", "system",
	"AI", "Bot", "bot", "用户", "助手", "系统", "机器人",
}

// rolePrefixes are the role names with either colon: "User:", "用户：".
var rolePrefixes = func() (out []string) {
	for _, name := range roleNames {
		out = append(out, name+":", name+"：")
	}
	return out
}()

// markerNames are the special tokens of all spellings, which a model may also
// spell out letter by letter.
var markerNames = append(dialogue.Specials(), "[CLS]", "[SEP]", "[PAD]")

// roleStops are the stop strings that a chat has besides the request's.
var roleStops = func() []string {
	out := append([]string(nil), markerNames...)
	for _, prefix := range rolePrefixes {
		out = append(out, "\n"+prefix)
	}
	return out
}()

// roleStripper takes role prefixes off the start of a text.
type roleStripper struct {
	held    string
	passing bool // the start is behind
}

// push takes the next piece and returns what is safe to show.
func (s *roleStripper) push(text string) string {
	if s.passing {
		return text
	}
	s.held += text
	for again := true; again; {
		again = false
		s.held = strings.TrimLeft(s.held, " \n")
		for _, prefix := range rolePrefixes {
			if rest, found := strings.CutPrefix(s.held, prefix); found {
				s.held, again = rest, true
			}
		}
	}
	for _, prefix := range rolePrefixes {
		if strings.HasPrefix(prefix, s.held) { // also when nothing is left yet
			return ""
		}
	}
	s.passing = true
	return s.flush()
}

// flush returns what was held back: the text has ended.
func (s *roleStripper) flush() string {
	held := s.held
	s.held = ""
	return held
}
