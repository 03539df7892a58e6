package pipeline

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"causerie/models/dialogue"
	"causerie/models/tokenizer"
	"causerie/pipeline/postprocess"
	"causerie/pipeline/sampling"
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
// by piece; an error of emit ends the reply and comes back. When ctx ends or
// something fails, the reply so far is returned with the error.
func (e *Engine) Chat(ctx context.Context, req ChatRequest, emit func(Piece) error) (Reply, error) {
	o := req.Options
	o.EnsureDefaults()
	if err := o.validateFor(e.model.Net.Config.VocabSize); err != nil {
		return Reply{}, err
	}
	if e.model.Tokenizer == nil {
		return Reply{}, ErrNoTokenizer
	}
	prompt, dropped, err := chatPrompt(e.model.Template, req.Messages, o.MaxTokens, e.Context())
	if err != nil {
		return Reply{}, err
	}
	if err := e.checkIDs(prompt); err != nil {
		return Reply{}, err
	}
	// Turn markers repeat in every dialogue, so no penalty may touch them.
	ends := e.ends(e.model.Template.Stops())
	o.Exempt = slices.Concat(o.Exempt, e.specials(prompt), ends)
	o.Banned = slices.Concat(o.Banned, e.padding())
	text := postprocess.Options{Stops: o.Stop, WholeSentences: o.WholeSentences}
	if !o.Raw {
		text.Spacing, text.Roles = e.spacing(postprocess.SpacingNatural), true
	}
	reply, err := e.run(ctx, prompt, o, ends, text, emit)
	reply.DroppedTurns = dropped
	return reply, err
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
	o := req.Options
	o.EnsureDefaults()
	if err := o.validateFor(e.model.Net.Config.VocabSize); err != nil {
		return Reply{}, err
	}
	prompt := req.IDs
	if len(prompt) == 0 && req.Text != "" {
		if e.model.Tokenizer == nil {
			return Reply{}, ErrNoTokenizer
		}
		prompt = e.model.Tokenizer.Encode(nil, req.Text)
	}
	if req.Options.MaxTokens == 0 {
		o.MaxTokens = max(1, min(o.MaxTokens, e.Context()-len(prompt)))
	}
	if err := e.checkPrompt(prompt, o.MaxTokens); err != nil {
		return Reply{}, err
	}
	text := postprocess.Options{Stops: o.Stop, WholeSentences: o.WholeSentences}
	if !o.Raw {
		text.Spacing = e.spacing(postprocess.SpacingExact)
	}
	return e.run(ctx, prompt, o, e.ends(nil), text, emit)
}

func (e *Engine) checkPrompt(prompt []int32, reply int) error {
	if len(prompt) == 0 {
		return ErrNoPrompt
	}
	if err := e.checkIDs(prompt); err != nil {
		return err
	}
	if context := e.Context(); len(prompt)+reply > context {
		return &PromptTooLongError{PromptTokens: len(prompt), ReplyTokens: reply, Context: context}
	}
	return nil
}

func (e *Engine) checkIDs(prompt []int32) error {
	vocab := e.model.Net.Config.VocabSize
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

// run writes a reply to a prompt that was checked.
func (e *Engine) run(ctx context.Context, prompt []int32, o Options, ends []int32, text postprocess.Options, emit func(Piece) error) (Reply, error) {
	reply := Reply{PromptTokens: len(prompt)}
	inner, leave, err := e.enter(ctx)
	if err != nil {
		return reply, err
	}
	defer leave()
	seq := e.take(prompt)
	defer e.giveBack(seq)

	seed := rand.Uint64()
	if o.Seed != nil {
		seed = *o.Seed
	}
	if o.IgnoreEnd {
		ends = nil
	}
	d := decoding{
		prompt:  prompt,
		max:     min(o.MaxTokens, e.Context()-len(prompt)),
		min:     o.MinTokens,
		ends:    ends,
		sampler: sampling.New(o.Options, prompt, seed, o.Stream),
	}
	err = d.write(inner, seq, e.batcher, &reply, newWriter(e.model.Tokenizer, text), emit)
	return reply, err
}

// write generates tokens and passes their text on until the reply ends.
func (d *decoding) write(ctx context.Context, seq *sequence, b *batcher, reply *Reply, w *writer, emit func(Piece) error) error {
	show := func(text string) error {
		if text == "" {
			return nil
		}
		reply.Text += text
		if emit == nil {
			return nil
		}
		if err := emit(Piece{Text: text}); err != nil {
			return fmt.Errorf("passing the reply on: %w", err)
		}
		return nil
	}
	finish := FinishLength
	for id, err := range d.tokens(ctx, seq, b) {
		if err != nil {
			return err
		}
		reply.IDs = append(reply.IDs, id)
		if slices.Contains(d.ends, id) {
			finish = FinishStop
			break
		}
		reply.CompletionTokens++
		if err := show(w.push(id)); err != nil {
			return err
		}
		if w.stopped() {
			finish = FinishStop
			break
		}
	}
	if err := show(w.flush(finish == FinishLength)); err != nil {
		return err
	}
	if w.stopped() { // what was held back may complete a stop string
		finish = FinishStop
	}
	reply.FinishReason = finish
	return nil
}
