package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"causerie/models/dialogue"
	"causerie/pipeline"
)

// chatCompletions answers POST /v1/chat/completions.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) {
	body, err := s.readRequest(w, r)
	if err != nil {
		fail(w, r, err)
		return
	}
	request, err := parseChat(body)
	if err != nil {
		fail(w, r, err)
		return
	}
	model, err := s.named(request.model)
	if err != nil {
		fail(w, r, err)
		return
	}
	note(r, func(n *requestNote) {
		n.model = model.ID
		n.prompted = lastText(request.messages)
	})
	c := &completion{model: model, request: request, id: "chatcmpl-" + rand.Text(), created: time.Now().Unix()}
	if request.stream {
		c.stream(w, r)
		return
	}
	c.whole(w, r)
}

func lastText(messages []dialogue.Turn) string {
	return messages[len(messages)-1].Text
}

// completion is one request being answered.
type completion struct {
	model   *Model
	request *chatRequest
	id      string
	created int64
	usage   usage
}

// usage counts tokens as OpenAI does: the prompt once, every choice's reply.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func (u *usage) add(r pipeline.Reply) {
	u.PromptTokens = r.PromptTokens
	u.CompletionTokens += r.CompletionTokens
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
}

// chat asks the model for one of the request's choices.
func (c *completion) chat(r *http.Request, choice int, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
	options := c.options()
	options.Stream = uint64(choice)
	reply, err := c.model.Chatter.Chat(r.Context(), pipeline.ChatRequest{
		Messages: c.request.messages, Options: options,
	}, emit)
	if err != nil {
		return reply, err
	}
	c.usage.add(reply)
	note(r, func(n *requestNote) {
		n.prompt, n.complete = c.usage.PromptTokens, c.usage.CompletionTokens
		n.finish, n.reply = string(reply.FinishReason), reply.Text
	})
	return reply, nil
}

// options are the model's own with the request's put over them.
func (c *completion) options() pipeline.Options {
	q, o := c.request, c.model.Defaults
	put(&o.Temperature, q.temperature)
	put(&o.TopP, q.topP)
	put(&o.MinP, q.minP)
	put(&o.TopK, q.topK)
	put(&o.PresencePenalty, q.presence)
	put(&o.FrequencyPenalty, q.frequency)
	put(&o.RepetitionPenalty, q.repetition)
	if q.maxTokens != nil {
		// Who counts tokens wants all of them, half sentence or not.
		o.MaxTokens, o.WholeSentences = *q.maxTokens, false
	}
	o.Seed, o.LogitBias = q.seed, q.logitBias
	o.Stop = append(o.Stop[:len(o.Stop):len(o.Stop)], q.stop...)
	return o
}

func put[T any](dst, value *T) {
	if value != nil {
		*dst = *value
	}
}

// message is a reply in OpenAI's form.
type message struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type choice struct {
	Index        int     `json:"index"`
	Message      message `json:"message"`
	Logprobs     *string `json:"logprobs"`
	FinishReason string  `json:"finish_reason"`
}

type chatCompletion struct {
	ID                string   `json:"id"`
	Object            string   `json:"object"`
	Created           int64    `json:"created"`
	Model             string   `json:"model"`
	Choices           []choice `json:"choices"`
	Usage             usage    `json:"usage"`
	SystemFingerprint *string  `json:"system_fingerprint"`
}

// whole answers with all choices in one object.
func (c *completion) whole(w http.ResponseWriter, r *http.Request) {
	body := chatCompletion{ID: c.id, Object: "chat.completion", Created: c.created, Model: c.model.ID}
	for i := range c.request.choices {
		reply, err := c.chat(r, i, nil)
		if err != nil {
			fail(w, r, err)
			return
		}
		body.Choices = append(body.Choices, choice{
			Index: i, Message: message{Role: "assistant", Content: reply.Text},
			FinishReason: string(reply.FinishReason),
		})
	}
	body.Usage = c.usage
	writeJSON(w, http.StatusOK, body)
}

// delta is what a chunk adds to a choice's message.
type delta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chunkChoice struct {
	Index        int     `json:"index"`
	Delta        delta   `json:"delta"`
	Logprobs     *string `json:"logprobs"`
	FinishReason *string `json:"finish_reason"`
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
func (c *completion) stream(w http.ResponseWriter, r *http.Request) {
	s := &chatStream{completion: c, w: w}
	for i := range c.request.choices {
		if err := s.choice(r, i); err != nil {
			s.fail(r, err)
			return
		}
	}
	if err := s.finish(); err != nil {
		s.fail(r, err)
	}
}

// chatStream opens its event stream with the first piece, so that a request
// that fails before it still gets a status code of its own.
type chatStream struct {
	*completion
	w      http.ResponseWriter
	events *eventStream
}

func (s *chatStream) choice(r *http.Request, index int) error {
	begun := false
	begin := func() error {
		if begun {
			return nil
		}
		begun = true
		return s.send(chunkChoice{Index: index, Delta: delta{Role: "assistant", Content: new("")}})
	}
	reply, err := s.chat(r, index, func(p pipeline.Piece) error {
		if err := begin(); err != nil || p.Text == "" {
			return err
		}
		return s.send(chunkChoice{Index: index, Delta: delta{Content: &p.Text}})
	})
	if err != nil {
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	return s.send(chunkChoice{Index: index, FinishReason: new(string(reply.FinishReason))})
}

func (s *chatStream) send(c chunkChoice) error { return s.chunk([]chunkChoice{c}, nil) }

func (s *chatStream) chunk(choices []chunkChoice, u *usage) error {
	if s.events == nil {
		s.events = newEventStream(s.w)
	}
	chunk := chatChunk{
		ID: s.id, Object: "chat.completion.chunk", Created: s.created, Model: s.model.ID, Choices: choices,
	}
	if s.request.includeUsage {
		return s.events.send(usageChunk{chunk, u})
	}
	return s.events.send(chunk)
}

func (s *chatStream) finish() error {
	if s.request.includeUsage {
		if err := s.chunk([]chunkChoice{}, &s.usage); err != nil {
			return err
		}
	}
	return s.events.done()
}

// fail reports an error in the stream, once that is all that can be done.
func (s *chatStream) fail(r *http.Request, err error) {
	if s.events == nil {
		fail(s.w, r, err)
		return
	}
	e := toError(err)
	if r.Context().Err() != nil {
		e = toError(context.Canceled)
	}
	note(r, func(n *requestNote) { n.err, n.status = err, e.Status })
	if e.Status != statusClientGone {
		// Without [DONE] clients know that the reply is not whole.
		_ = s.events.send(e)
	}
}
