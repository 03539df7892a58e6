package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"math"
	"net/http"
	"slices"
	"time"

	"causerie/pipeline"
)

// Generator writes n continuations of a prompt; *pipeline.Engine does.
type Generator interface {
	GenerateN(ctx context.Context, r pipeline.GenerateRequest, n int, emit func(pipeline.Piece) error) ([]pipeline.Reply, error)
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
	model, err := s.named(r, request.model)
	if err != nil {
		return err
	}
	note(r, func(n *requestNote) {
		n.model, n.prompted = model.ID, request.prompts[len(request.prompts)-1].text
	})
	if model.Generator == nil && model.Chatter == nil && model.Embedder != nil {
		return onlyEmbeds(model)
	}
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

// all writes the choices of every prompt, one prompt after the other. emit is
// nil, or gets the pieces of choices as they come.
func (t *textCompletion) all(r *http.Request, emit func(textChoice) error) error {
	for i, p := range t.request.prompts {
		w := &textWriter{
			textCompletion: t, prompt: p, first: i * t.request.choices, emit: emit,
			echoed: make([]bool, t.request.choices), scored: make([]scored, t.request.choices),
		}
		if err := w.write(r); err != nil {
			return asParam(err, "prompt")
		}
	}
	return nil
}

// textWriter writes the choices of one prompt.
type textWriter struct {
	*textCompletion
	prompt prompt
	first  int // the number of its first choice
	emit   func(textChoice) error
	echoed []bool
	scored []scored
}

func (w *textWriter) write(r *http.Request) error {
	piece := w.piece
	if w.emit == nil {
		piece = nil
	}
	replies, err := w.generate(r, piece)
	w.usage.addReplies(replies)
	noteReplies(r, replies, w.usage)
	if err != nil {
		return err
	}
	for i, reply := range best(replies, w.request.choices) {
		c := textChoice{Index: w.first + i, Text: w.echo() + reply.Text, FinishReason: new(string(reply.FinishReason))}
		if w.request.logprobs {
			c.Logprobs = (&scored{}).of(reply.LogProbs)
		}
		w.body.Choices = append(w.body.Choices, c)
	}
	return nil
}

// piece shows a piece of a choice. The echo waits for the first: until then the
// prompt may still be refused.
func (w *textWriter) piece(p pipeline.Piece) error {
	index := w.first + p.Index
	if !w.echoed[p.Index] {
		w.echoed[p.Index] = true
		if echo := w.echo(); echo != "" {
			if err := w.emit(textChoice{Index: index, Text: echo}); err != nil {
				return err
			}
		}
	}
	if p.Text != "" || len(p.LogProbs) > 0 {
		if err := w.emit(textChoice{Index: index, Text: p.Text, Logprobs: w.scored[p.Index].of(p.LogProbs)}); err != nil {
			return err
		}
	}
	if p.FinishReason == "" {
		return nil
	}
	return w.emit(textChoice{Index: index, FinishReason: new(string(p.FinishReason))})
}

// echo is the prompt, if it goes before the continuation.
func (w *textWriter) echo() string {
	switch {
	case !w.request.echo:
		return ""
	case w.prompt.ids != nil:
		return w.model.Tokenizer.Decode(w.prompt.ids)
	}
	return w.prompt.text
}

func (w *textWriter) generate(r *http.Request, emit func(pipeline.Piece) error) ([]pipeline.Reply, error) {
	if *w.request.maxTokens == 0 {
		return w.nothing(emit)
	}
	options := w.request.options(w.model.GenerateDefaults)
	options.LogProbs = options.LogProbs || w.request.bestOf > w.request.choices
	request := pipeline.GenerateRequest{Text: w.prompt.text, IDs: w.prompt.ids, Options: options}
	return w.model.Generator.GenerateN(r.Context(), request, w.request.bestOf, timed(r, emit))
}

// nothing writes choices of no tokens, which are only an echo.
func (w *textWriter) nothing(emit func(pipeline.Piece) error) ([]pipeline.Reply, error) {
	ids := w.prompt.ids
	if ids == nil {
		ids = w.model.Tokenizer.Encode(nil, w.prompt.text)
	}
	for i, id := range ids {
		if vocab := w.model.Tokenizer.VocabSize(); id < 0 || int(id) >= vocab {
			return nil, &pipeline.TokenError{ID: id, Position: i, VocabSize: vocab}
		}
	}
	replies := make([]pipeline.Reply, w.request.choices)
	for i := range replies {
		replies[i] = pipeline.Reply{FinishReason: pipeline.FinishLength, PromptTokens: len(ids)}
		if emit == nil {
			continue
		}
		if err := emit(pipeline.Piece{Index: i, FinishReason: pipeline.FinishLength}); err != nil {
			return nil, err
		}
	}
	return replies, nil
}

// best are the n replies whose tokens are the likeliest on average, best first;
// all of them, in their order, when there are no more.
func best(replies []pipeline.Reply, n int) []pipeline.Reply {
	if n >= len(replies) {
		return replies
	}
	likelihood := func(r pipeline.Reply) float64 {
		if len(r.LogProbs) == 0 {
			return math.Inf(-1) // who says nothing is no better than who says anything
		}
		sum := 0.0
		for _, l := range r.LogProbs {
			sum += l.LogProb
		}
		return sum / float64(len(r.LogProbs))
	}
	slices.SortStableFunc(replies, func(a, b pipeline.Reply) int { return cmp.Compare(likelihood(b), likelihood(a)) })
	return replies[:n]
}

// stream sends the choices' pieces, then usage if it was asked for.
func (t *textCompletion) stream(r *http.Request) error {
	err := t.all(r, func(c textChoice) error { return t.chunk([]textChoice{c}, nil) })
	if err != nil {
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
