package api

import (
	"unicode/utf8"

	"causerie/pipeline"
)

// maxTextLogprobs is how many alternatives a text completion may ask for beside
// each token, as OpenAI's specification has it.
const maxTextLogprobs = 5

// textLogprobs are log-probabilities in OpenAI's older form: a list for each
// property of the tokens.
type textLogprobs struct {
	Tokens  []string             `json:"tokens"`
	Values  []float64            `json:"token_logprobs"`
	Top     []map[string]float64 `json:"top_logprobs"`
	Offsets []int                `json:"text_offset"` // in characters
}

// scored makes textLogprobs of the tokens of one choice, piece by piece.
type scored struct {
	text []byte // what the tokens have spelled so far
}

// of is nil when there are no tokens.
func (s *scored) of(tokens []pipeline.LogProb) *textLogprobs {
	if len(tokens) == 0 {
		return nil
	}
	l := &textLogprobs{}
	for _, t := range tokens {
		top := make(map[string]float64, len(t.Top))
		for _, other := range t.Top {
			top[other.Text] = other.LogProb
		}
		l.Tokens, l.Values, l.Top = append(l.Tokens, t.Text), append(l.Values, t.LogProb), append(l.Top, top)
		l.Offsets = append(l.Offsets, utf8.RuneCount(s.text))
		s.text = append(s.text, t.Bytes...)
	}
	return l
}
