package api

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"causerie/api/store"
	"causerie/models/dialogue"
	"causerie/pipeline"
)

// chatCompletions answers POST /v1/chat/completions.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) error {
	body, err := s.readRequest(w, r)
	if err != nil {
		return err
	}
	request, err := parseChat(body)
	if err != nil {
		return err
	}
	model, err := s.named(r, request.model)
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) {
		n.model = model.ID
		n.prompted = lastText(request.messages)
	})
	if model.Chatter == nil {
		return onlyEmbeds(model)
	}
	c := &completion{model: model, request: request, body: chatCompletion{
		ID: "chatcmpl-" + rand.Text(), Object: "chat.completion", Created: time.Now().Unix(), Model: model.ID,
	}}
	if request.store {
		if c.memory, err = s.memory(); err != nil {
			return err
		}
	}
	if request.conversation != "" {
		talk, leave, err := s.enter(r, request)
		if err != nil {
			return err
		}
		defer leave()
		c.talk = talk
	}
	if request.stream {
		return c.stream(w, r)
	}
	return c.whole(w, r)
}

// onlyEmbeds refuses a model that does not write.
func onlyEmbeds(m *Model) error {
	return invalid("model", "the model %q only embeds texts: it answers /v1/embeddings", m.ID)
}

func lastText(messages []dialogue.Turn) string {
	return messages[len(messages)-1].Text
}

// completion is one request being answered.
type completion struct {
	model   *Model
	request *chatRequest
	body    chatCompletion // the answer as far as it is known
	memory  *store.Store   // where it is kept, if it is
	talk    *continued     // the conversation that it goes on with, if it does
}

// usage counts tokens as OpenAI does: a prompt once, every choice's reply.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func (u *usage) add(prompt, completion int) {
	u.PromptTokens += prompt
	u.CompletionTokens += completion
	u.TotalTokens = u.PromptTokens + u.CompletionTokens
}

// addReplies counts the replies to one prompt.
func (u *usage) addReplies(replies []pipeline.Reply) {
	for i, reply := range replies {
		prompt := reply.PromptTokens
		if i > 0 {
			prompt = 0 // it is the same one
		}
		u.add(prompt, reply.CompletionTokens)
	}
}

// chat has the model write the request's choices, all at the same time.
func (c *completion) chat(r *http.Request, emit func(pipeline.Piece) error) error {
	request := pipeline.ChatRequest{Messages: c.request.messages, Options: c.request.options(c.model.Defaults)}
	request.Options.Grammar = c.request.form
	replies, err := c.model.Chatter.ChatN(r.Context(), request, c.request.choices, timed(r, emit))
	c.body.Usage.addReplies(replies)
	noteReplies(r, replies, c.body.Usage)
	if err != nil {
		return err
	}
	for i, reply := range replies {
		c.body.Choices = append(c.body.Choices, choice{
			Index: i, Message: message{Role: "assistant", Content: reply.Text}, FinishReason: string(reply.FinishReason),
			Logprobs: logprobsOf(c.request.logprobs, reply.LogProbs),
		})
	}
	return nil
}

// timed notes when the first piece of a reply comes, and passes pieces on to
// emit if it is not nil.
func timed(r *http.Request, emit func(pipeline.Piece) error) func(pipeline.Piece) error {
	return func(p pipeline.Piece) error {
		note(r, func(n *requestNote) {
			if n.first.IsZero() {
				n.first = time.Now()
			}
		})
		if emit == nil {
			return nil
		}
		return emit(p)
	}
}

// noteReplies notes what the model has done, also for a request that failed: its
// tokens were computed. Of several replies the last stands for all.
func noteReplies(r *http.Request, replies []pipeline.Reply, u usage) {
	note(r, func(n *requestNote) {
		n.prompt, n.complete = u.PromptTokens, u.CompletionTokens
		for _, reply := range replies {
			n.replies = append(n.replies, replyNote{reply.Times, reply.CachedTokens, reply.CompletionTokens})
		}
		if len(replies) > 0 {
			last := replies[len(replies)-1]
			n.finish, n.reply = string(last.FinishReason), last.Text
		}
	})
}

// keepTime is how long storing a reply may take. It goes on when the client has
// left: the reply was written.
const keepTime = 10 * time.Second

// keep stores what the client asked to be stored, before it is told that the
// reply is whole.
func (c *completion) keep(r *http.Request) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), keepTime)
	defer cancel()
	if c.talk != nil {
		if err := c.talk.keep(ctx, c.body.Choices[0].Message.Content); err != nil {
			return err
		}
	}
	if c.memory == nil {
		return nil
	}
	body, err := json.Marshal(c.body)
	if err != nil {
		return fmt.Errorf("encoding a completion: %w", err)
	}
	return c.memory.AddCompletion(ctx, owner(r), store.Completion{
		ID: c.body.ID, Model: c.model.ID, Created: c.body.Created, Metadata: c.request.metadata, Body: body, Messages: c.request.raw,
	})
}

// message is a reply in OpenAI's form.
type message struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type choice struct {
	Index        int       `json:"index"`
	Message      message   `json:"message"`
	Logprobs     *logprobs `json:"logprobs"`
	FinishReason string    `json:"finish_reason"`
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
func (c *completion) whole(w http.ResponseWriter, r *http.Request) error {
	if err := c.chat(r, nil); err != nil {
		return err
	}
	if err := c.keep(r); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, c.body)
	return nil
}
