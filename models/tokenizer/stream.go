package tokenizer

import "unicode/utf8"

// Stream decodes ids one at a time, for showing a reply while it is being written.
// One token may hold half a character: Push gives only whole characters and keeps the
// rest for later.
//
// All that Push and Flush return, put together, is
//
//	strings.ToValidUTF8(t.Decode(ids), "\uFFFD")
//
// that is, the text that Decode gives for all ids at once, with each run of bytes that
// are not UTF-8 replaced by one U+FFFD (�). What Push returns is always valid UTF-8.
//
// A Stream is for one goroutine. Make it with [NewStream].
type Stream struct {
	t       Tokenizer
	pieces  pieceAppender
	pending []byte // bytes of a character that is not complete yet
	out     []byte
	prev    int32 // the last token that is in the vocabulary, or noToken
	invalid bool  // the text so far ends in replaced bytes
}

// pieceAppender is what tokenizers of this package do for a stream: append what the
// token id adds to the text after the token prev (noToken at the start), and say
// whether there is such a token.
type pieceAppender interface {
	has(id int32) bool
	appendPiece(dst []byte, prev, id int32) []byte
}

// NewStream returns a stream at the start of a text.
func NewStream(t Tokenizer) *Stream {
	s := &Stream{t: t, prev: noToken}
	s.pieces, _ = t.(pieceAppender)
	return s
}

// Push takes the next token and returns the text that it completes, often all of its
// own and sometimes none.
func (s *Stream) Push(id int32) string {
	switch {
	case s.pieces == nil: // a tokenizer from elsewhere
		s.pending = s.t.AppendToken(s.pending, id)
	case s.pieces.has(id):
		s.pending = s.pieces.appendPiece(s.pending, s.prev, id)
		s.prev = id
	}
	return s.take(false)
}

// Flush ends the text: it returns what is left, an incomplete character as U+FFFD, and
// makes the stream ready for another text.
func (s *Stream) Flush() string {
	text := s.take(true)
	s.prev, s.invalid = noToken, false
	return text
}

// take returns the complete characters of pending, or all of it.
func (s *Stream) take(all bool) string {
	s.out = s.out[:0]
	i := 0
	for i < len(s.pending) {
		if !all && !utf8.FullRune(s.pending[i:]) {
			break
		}
		r, n := utf8.DecodeRune(s.pending[i:])
		switch bad := r == utf8.RuneError && n == 1; {
		case !bad:
			s.out = append(s.out, s.pending[i:i+n]...)
			s.invalid = false
		case !s.invalid:
			s.out = append(s.out, "\uFFFD"...)
			s.invalid = true
		}
		i += n
	}
	s.pending = append(s.pending[:0], s.pending[i:]...)
	return string(s.out)
}
