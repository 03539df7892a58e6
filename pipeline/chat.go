package pipeline

import (
	"context"
	"slices"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
	"causerie/pipeline/postprocess"
)

// ChatRequest asks for the next turn of a conversation.
type ChatRequest struct {
	// Messages are the turns so far, oldest first: system text, if any, then
	// user and assistant in turn, usually with the user's question at the end.
	Messages []dialogue.Turn
	// Options say how the reply is written; see Engine.ChatDefaults.
	Options Options
}

// Chat writes the assistant's next turn. emit, if not nil, receives it piece
// by piece on the caller's goroutine; an error of emit ends the reply and comes
// back. When ctx ends or something fails, the reply so far is returned with
// the error.
func (e *Engine) Chat(ctx context.Context, req ChatRequest, emit func(Piece) error) (Reply, error) {
	return first(e.ChatN(ctx, req, 1, emit))
}

// ChatN writes n replies to one conversation. Reply i is, to the bit, what
// Chat writes with i added to Options.Stream (and the same seed); the prompt is
// computed once for all. Pieces of different replies come interleaved.
func (e *Engine) ChatN(ctx context.Context, req ChatRequest, n int, emit func(Piece) error) ([]Reply, error) {
	o := req.Options
	o.EnsureDefaults()
	if err := o.validateFor(e.model.Net.Config.VocabSize); err != nil {
		return nil, err
	}
	if e.model.Tokenizer == nil {
		return nil, ErrNoTokenizer
	}
	automaton, err := e.constrain(&o)
	if err != nil {
		return nil, err
	}
	prompt, dropped, err := chatPrompt(e.model.Template, req.Messages, o.MaxTokens, e.Context())
	if err != nil {
		return nil, err
	}
	if err := checkIDs(prompt, e.model.Net.Config.VocabSize); err != nil {
		return nil, err
	}
	// Turn markers repeat in every dialogue, so no penalty may touch them.
	ends := e.ends(e.model.Template.Stops())
	o.Exempt = slices.Concat(o.Exempt, e.specials(prompt), ends)
	o.Banned = slices.Concat(o.Banned, e.padding())
	text := postprocess.Options{Stops: o.Stop, WholeSentences: o.WholeSentences}
	if !o.Raw {
		text.Spacing, text.Roles = e.spacing(postprocess.SpacingNatural), true
	}
	replies, err := e.run(ctx, order{prompt: prompt, options: o, ends: ends, text: text, automaton: automaton, n: n}, emit)
	for i := range replies {
		replies[i].DroppedTurns = dropped
	}
	return replies, err
}

// first is the only reply.
func first(replies []Reply, err error) (Reply, error) {
	if len(replies) == 0 {
		return Reply{}, err
	}
	return replies[0], err
}

// GenerateRequest asks for a continuation.
type GenerateRequest struct {
	Text    string  // the prompt, when IDs is empty
	IDs     []int32 // the prompt in token ids
	Options Options
}

// Generate continues a prompt as it stands, without turns. Prompt and
// MaxTokens together must fit the context; when MaxTokens is 0 the reply may
// have 80 tokens or what room there is. emit and errors are as in
// [Engine.Chat]; a model without tokenizer continues IDs and gives no text.
func (e *Engine) Generate(ctx context.Context, req GenerateRequest, emit func(Piece) error) (Reply, error) {
	return first(e.GenerateN(ctx, req, 1, emit))
}

// GenerateN writes n continuations of one prompt; see [Engine.ChatN].
func (e *Engine) GenerateN(ctx context.Context, req GenerateRequest, n int, emit func(Piece) error) ([]Reply, error) {
	o := req.Options
	o.EnsureDefaults()
	if err := o.validateFor(e.model.Net.Config.VocabSize); err != nil {
		return nil, err
	}
	prompt := req.IDs
	if len(prompt) == 0 && req.Text != "" {
		if e.model.Tokenizer == nil {
			return nil, ErrNoTokenizer
		}
		prompt = e.model.Tokenizer.Encode(nil, req.Text)
	}
	automaton, err := e.constrain(&o)
	if err != nil {
		return nil, err
	}
	if req.Options.MaxTokens == 0 {
		o.MaxTokens = max(1, min(o.MaxTokens, e.Context()-len(prompt)))
	}
	if err := e.checkPrompt(prompt, o.MaxTokens); err != nil {
		return nil, err
	}
	text := postprocess.Options{Stops: o.Stop, WholeSentences: o.WholeSentences}
	if !o.Raw {
		text.Spacing = e.spacing(postprocess.SpacingExact)
	}
	return e.run(ctx, order{prompt: prompt, options: o, ends: e.ends(nil), text: text, automaton: automaton, n: n}, emit)
}

func (e *Engine) checkPrompt(prompt []int32, reply int) error {
	if len(prompt) == 0 {
		return ErrNoPrompt
	}
	if err := checkIDs(prompt, e.model.Net.Config.VocabSize); err != nil {
		return err
	}
	if context := e.Context(); len(prompt)+reply > context {
		return &PromptTooLongError{PromptTokens: len(prompt), ReplyTokens: reply, Context: context}
	}
	return nil
}

func checkIDs(prompt []int32, vocab int) error {
	for i, id := range prompt {
		if id < 0 || int(id) >= vocab {
			return &TokenError{ID: id, Position: i, VocabSize: vocab}
		}
	}
	return nil
}

// padding are the ids that the network has and the tokenizer has not: rows
// that round an embedding up to a convenient size and stand for no text.
func (e *Engine) padding() []int32 {
	var out []int32
	for id := e.model.Tokenizer.VocabSize(); id < e.model.Net.Config.VocabSize; id++ {
		out = append(out, int32(id))
	}
	return out
}

// ends are the template's stops and the model's own.
func (e *Engine) ends(stops []int32) []int32 {
	return slices.Compact(slices.Sorted(slices.Values(slices.Concat(stops, e.model.Ends))))
}

// specials are the distinct special tokens of a prompt.
func (e *Engine) specials(prompt []int32) []int32 {
	var out []int32
	for _, id := range prompt {
		if e.model.Tokenizer.IsSpecial(id) && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

// spacing is how the model's text needs its spaces put right; plain is for a
// vocabulary that writes its own spaces.
func (e *Engine) spacing(plain postprocess.Spacing) postprocess.Spacing {
	if _, ok := e.model.Tokenizer.(*tokenizer.WordPiece); ok {
		return postprocess.SpacingWords
	}
	return plain
}
