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
// role, chunks with text, a chunk with the finish reason; then usage if asked
// for, then [DONE].
func (c *completion) stream(w http.ResponseWriter, r *http.Request) error {
	s := &chatStream{completion: c, late: lateStream{w: w}}
	return s.late.end(r, s.write(r))
}

type chatStream struct {
	*completion
	late lateStream
}

func (s *chatStream) write(r *http.Request) error {
	for range s.request.choices {
		if err := s.choice(r); err != nil {
			return err
		}
	}
	if err := s.keep(r); err != nil {
		return err
	}
	if s.request.includeUsage {
		return s.chunk([]chunkChoice{}, &s.body.Usage)
	}
	return nil
}

func (s *chatStream) choice(r *http.Request) error {
	index, begun := len(s.body.Choices), false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return s.send(chunkChoice{Index: index, Delta: delta{Role: "assistant", Content: new("")}})
	}
	made, err := s.chat(r, func(p pipeline.Piece) error {
		if err := begin(); err != nil || p.Text == "" && len(p.LogProbs) == 0 {
			return err
		}
		return s.send(chunkChoice{
			Index: index, Delta: delta{Content: &p.Text}, Logprobs: logprobsOf(s.request.logprobs, p.LogProbs),
		})
	})
	if err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	return s.send(chunkChoice{Index: index, FinishReason: &made.FinishReason})
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
