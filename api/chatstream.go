package api

import (
	"net/http"

	"causerie/pipeline"
)

// delta is what a chunk adds to a choice's message.
type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chunkChoice struct {
	Index        int       `json:"index"`
	Delta        delta     `json:"delta"`
	Logprobs     *logprobs `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type chatChunk struct {
	ID                string        `json:"id"`
	Object            string        `json:"object"`
	Created           int64         `json:"created"`
	Model             string        `json:"model"`
	SystemFingerprint *string       `json:"system_fingerprint"`
	Choices           []chunkChoice `json:"choices"`
}

// usageChunk is a chunk of a stream whose client asked for usage: null in all
// chunks but the last, which has no choices.
type usageChunk struct {
	chatChunk
	Usage *usage `json:"usage"`
}

// stream answers with server-sent events: for each choice a chunk with the
// role, chunks with text, a chunk with the finish reason, those of different
// choices as they come; then usage if asked for, then [DONE].
func (c *completion) stream(w http.ResponseWriter, r *http.Request) error {
	s := &chatStream{completion: c, late: lateStream{w: w}, begun: make([]bool, c.request.choices)}
	return s.late.end(r, s.write(r))
}

type chatStream struct {
	*completion
	late  lateStream
	begun []bool // which choices
}

func (s *chatStream) write(r *http.Request) error {
	if err := s.chat(r, s.piece); err != nil {
		return err
	}
	if err := s.keep(r); err != nil {
		return err
	}
	if s.request.includeUsage {
		return s.chunk([]chunkChoice{}, &s.body.Usage)
	}
	return nil
}

// piece sends a piece of a choice, with what belongs before and behind it.
func (s *chatStream) piece(p pipeline.Piece) error {
	if !s.begun[p.Index] {
		s.begun[p.Index] = true
		if err := s.send(chunkChoice{Index: p.Index, Delta: delta{Role: "assistant", Content: new("")}}); err != nil {
			return err
		}
	}
	if p.Text != "" || len(p.LogProbs) > 0 {
		text := chunkChoice{Index: p.Index, Delta: delta{Content: &p.Text}, Logprobs: logprobsOf(s.request.logprobs, p.LogProbs)}
		if err := s.send(text); err != nil {
			return err
		}
	}
	if p.FinishReason == "" {
		return nil
	}
	return s.send(chunkChoice{Index: p.Index, FinishReason: new(string(p.FinishReason))})
}

func (s *chatStream) send(c chunkChoice) error { return s.chunk([]chunkChoice{c}, nil) }

func (s *chatStream) chunk(choices []chunkChoice, u *usage) error {
	chunk := chatChunk{
		ID: s.body.ID, Object: "chat.completion.chunk", Created: s.body.Created, Model: s.body.Model, Choices: choices,
	}
	if s.request.includeUsage {
		return s.late.send(usageChunk{chunk, u})
	}
	return s.late.send(chunk)
}
