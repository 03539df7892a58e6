package api

import (
	"context"
	"crypto/rand"
	"net/http"
	"time"

	"causerie/pipeline"
)

// Generator continues prompts; *pipeline.Engine does.
type Generator interface {
	Generate(ctx context.Context, r pipeline.GenerateRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error)
}

// completions answers POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) error {
	body, err := s.readRequest(w, r)
	if err != nil {
		return err
	}
	request, err := parseCompletion(body)
	if err != nil {
		return err
	}
	model, err := s.named(request.model)
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) {
		n.model, n.prompted = model.ID, request.prompts[len(request.prompts)-1].text
	})
	if model.Generator == nil || model.Tokenizer == nil {
		return invalid("model", "the model %q does not continue texts", model.ID)
	}
	t := &textCompletion{model: model, request: request, late: lateStream{w: w}, body: textBody{
		ID: "cmpl-" + rand.Text(), Object: "text_completion", Created: time.Now().Unix(), Model: model.ID,
	}}
	if request.stream {
		return t.late.end(r, t.stream(r))
	}
	if err := t.all(r, nil); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, wholeText{t.body, t.usage})
	return nil
}

// textChoice is one continuation, or a piece of it.
type textChoice struct {
	Text         string        `json:"text"`
	Index        int           `json:"index"`
	Logprobs     *textLogprobs `json:"logprobs"`
	FinishReason *string       `json:"finish_reason"`
}

// textBody is a text completion in OpenAI's form, and so is every chunk of one.
type textBody struct {
	ID                string       `json:"id"`
	Object            string       `json:"object"`
	Created           int64        `json:"created"`
	Model             string       `json:"model"`
	SystemFingerprint *string      `json:"system_fingerprint"`
	Choices           []textChoice `json:"choices"`
}

type wholeText struct {
	textBody
	Usage usage `json:"usage"`
}

type textUsageChunk struct {
	textBody
	Usage *usage `json:"usage"`
}

// textCompletion is one request being answered.
type textCompletion struct {
	model   *Model
	request *completionRequest
	body    textBody
	usage   usage
	late    lateStream
}

// all writes every choice of every prompt, in the order of their indices. emit
// is nil, or gets the pieces of the choice that is being written.
func (t *textCompletion) all(r *http.Request, emit func(textChoice) error) error {
	for _, p := range t.request.prompts {
		for n := range t.request.choices {
			index := len(t.body.Choices)
			show := func(textChoice) error { return nil }
			if emit != nil {
				show = func(c textChoice) error {
					c.Index = index
					return emit(c)
				}
			}
			made, err := t.one(r, p, n, show)
			if err != nil {
				return asParam(err, "prompt")
			}
			made.Index = index
			t.body.Choices = append(t.body.Choices, made)
		}
	}
	return nil
}

// one writes one choice of a prompt. The echo waits for the first piece: until
// then the prompt may still be refused.
func (t *textCompletion) one(r *http.Request, p prompt, n int, show func(textChoice) error) (textChoice, error) {
	made := textChoice{}
	echoed := !t.request.echo
	echo := func() error {
		if echoed {
			return nil
		}
		echoed = true
		made.Text = p.text
		if p.ids != nil {
			made.Text = t.model.Tokenizer.Decode(p.ids)
		}
		return show(textChoice{Text: made.Text})
	}
	pieces := scored{}
	reply, err := t.generate(r, p, n, func(piece pipeline.Piece) error {
		if err := echo(); err != nil {
			return err
		}
		return show(textChoice{Text: piece.Text, Logprobs: pieces.of(piece.LogProbs)})
	})
	if n > 0 {
		reply.PromptTokens = 0 // it was counted
	}
	t.usage.add(reply.PromptTokens, reply.CompletionTokens)
	noteReply(r, reply, t.usage)
	if err == nil {
		err = echo()
	}
	if err != nil {
		return made, err
	}
	made.Text += reply.Text
	made.Logprobs = (&scored{}).of(reply.LogProbs)
	made.FinishReason = new(string(reply.FinishReason))
	return made, nil
}

func (t *textCompletion) generate(r *http.Request, p prompt, n int, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
	options := t.request.options(t.model.GenerateDefaults, n)
	if *t.request.maxTokens > 0 {
		return t.model.Generator.Generate(r.Context(), pipeline.GenerateRequest{Text: p.text, IDs: p.ids, Options: options}, timed(r, emit))
	}
	ids := p.ids
	if ids == nil {
		ids = t.model.Tokenizer.Encode(nil, p.text)
	}
	for i, id := range ids {
		if vocab := t.model.Tokenizer.VocabSize(); id < 0 || int(id) >= vocab {
			return pipeline.Reply{}, &pipeline.TokenError{ID: id, Position: i, VocabSize: vocab}
		}
	}
	return pipeline.Reply{FinishReason: pipeline.FinishLength, PromptTokens: len(ids)}, nil
}

// stream sends the choices' pieces, then usage if it was asked for.
func (t *textCompletion) stream(r *http.Request) error {
	last := 0
	finish := func(upTo int) error {
		for ; last < upTo; last++ {
			err := t.chunk([]textChoice{{Index: last, FinishReason: t.body.Choices[last].FinishReason}}, nil)
			if err != nil {
				return err
			}
		}
		return nil
	}
	err := t.all(r, func(c textChoice) error {
		if err := finish(c.Index); err != nil {
			return err
		}
		return t.chunk([]textChoice{c}, nil)
	})
	if err != nil {
		return err
	}
	if err := finish(len(t.body.Choices)); err != nil {
		return err
	}
	if t.request.includeUsage {
		return t.chunk([]textChoice{}, &t.usage)
	}
	return nil
}

func (t *textCompletion) chunk(choices []textChoice, u *usage) error {
	body := t.body
	body.Choices = choices
	if t.request.includeUsage {
		return t.late.send(textUsageChunk{body, u})
	}
	return t.late.send(body)
}
