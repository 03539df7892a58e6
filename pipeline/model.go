package pipeline

import (
	"context"

	"causerie/models"
	"causerie/models/dialogue"
	"causerie/models/gpt2"
	"causerie/models/tokenizer"
)

// Model is a loaded model with all that a conversation needs.
type Model struct {
	Name string
	Net  *gpt2.Model

	// Tokenizer and Template are nil for weights without a vocabulary. Such a
	// model continues token ids; text and conversations are refused.
	Tokenizer tokenizer.Tokenizer
	Template  dialogue.Template

	// Chat and Generate are the options that suit the model in conversations
	// and when it continues a text.
	Chat, Generate Options
	// Ends are ids that end any text of this model, besides the template's stops.
	Ends []int32
}

// Context is how many tokens prompt and reply may have together.
func (m *Model) Context() int { return m.Net.Config.Positions }

// FromBundle makes a Model of what package models has loaded.
func FromBundle(b *models.Bundle) Model {
	return Model{
		Name:      b.Name,
		Net:       b.Net,
		Tokenizer: b.Tokenizer,
		Template:  b.Template,
		Chat:      ChatDefaults().Recommended(b.Generation),
		Generate:  GenerateDefaults().Recommended(b.Generation),
		Ends:      b.Generation.EOS,
	}
}

// Open loads a model by name, or from its folder (see [models.Open]), and
// makes an engine for it.
func Open(ctx context.Context, name string, o EngineOptions) (*Engine, error) {
	b, err := models.Open(ctx, name, models.Options{Frozen: true, DType: o.DType})
	if err != nil {
		return nil, err
	}
	return NewEngine(FromBundle(b), o)
}
