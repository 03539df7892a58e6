package postprocess

import "strings"

// stopper ends a text where a stop string is complete, and holds back what may
// turn out to be the start of one. Of the stop strings that are complete at
// the same place the longest counts; of several in a text the one that is
// complete first. So the result does not depend on how the text was cut into
// pieces.
type stopper struct {
	stops   []string
	held    string // a proper prefix of a stop string, or empty
	stopped bool
}

// push takes the next piece and returns what is safe to show.
func (s *stopper) push(text string) string {
	if s.stopped || text == "" {
		return ""
	}
	text = s.held + text
	for end := len(s.held) + 1; end <= len(text); end++ {
		if n := s.completeAt(text[:end]); n > 0 {
			s.stopped, s.held = true, ""
			return text[:end-n]
		}
	}
	safe := len(text) - s.beginsAt(text)
	s.held = text[safe:]
	return text[:safe]
}

// flush returns what was held back: the text has ended, so it was no stop.
func (s *stopper) flush() string {
	held := s.held
	s.held = ""
	return held
}

// completeAt is the length of the longest stop string that text ends with.
func (s *stopper) completeAt(text string) int {
	n := 0
	for _, stop := range s.stops {
		if len(stop) > n && strings.HasSuffix(text, stop) {
			n = len(stop)
		}
	}
	return n
}

// beginsAt is the length of the longest end of text that a stop string, not
// yet complete, begins with.
func (s *stopper) beginsAt(text string) int {
	longest := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > longest; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				longest = n
				break
			}
		}
	}
	return longest
}
