package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"causerie/models/dialogue"
)

// Session is a conversation that remembers its turns. It is for one goroutine.
type Session struct {
	engine  *Engine
	options Options
	system  string
	turns   []dialogue.Turn
	asked   uint64 // questions so far: each draws from a stream of its own
}

// NewSession starts a conversation. With a seed in the options the same
// questions get the same replies every time.
func NewSession(e *Engine, system string, o Options) *Session {
	return &Session{engine: e, options: o, system: strings.TrimSpace(system)}
}

// Say adds the user's turn and writes the reply, which is remembered too. emit
// is as in [Engine.Chat]. A reply that was interrupted is remembered as far as
// it was shown; after an error without any reply the conversation is as before.
func (s *Session) Say(ctx context.Context, text string, emit func(Piece) error) (Reply, error) {
	turns := append(s.Turns(), dialogue.User(text))
	o := s.options
	o.Stream += s.asked
	reply, err := s.engine.Chat(ctx, ChatRequest{Messages: turns, Options: o}, emit)
	if err == nil || reply.Text != "" {
		s.asked++
	}
	if said := strings.TrimSpace(reply.Text); said != "" {
		s.turns = append(s.turns, dialogue.User(text), dialogue.Assistant(said))
	}
	return reply, err
}

// Turns are the conversation so far, the system text included.
func (s *Session) Turns() []dialogue.Turn {
	if s.system == "" {
		return slices.Clone(s.turns)
	}
	return append([]dialogue.Turn{dialogue.System(s.system)}, s.turns...)
}

// Reset forgets everything but the system text.
func (s *Session) Reset() { s.turns, s.asked = nil, 0 }

// Save writes the conversation as one line of JSON in the form of OpenAI's
// chat messages, which is also a training corpus of one dialogue.
func (s *Session) Save(w io.Writer) error {
	type message struct {
		Role    dialogue.Role `json:"role"`
		Content string        `json:"content"`
	}
	line := struct {
		Messages []message `json:"messages"`
	}{Messages: []message{}}
	for _, t := range s.Turns() {
		line.Messages = append(line.Messages, message{t.Role, t.Text})
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return fmt.Errorf("saving the conversation: %w", err)
	}
	return nil
}
