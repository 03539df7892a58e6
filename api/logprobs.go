package api

import "causerie/pipeline"

// maxTopLogprobs is how many alternatives a chat completion may ask for beside
// each token, as OpenAI's specification has it.
const maxTopLogprobs = 20

// logprobs are the log-probabilities of a chat reply's tokens in OpenAI's form.
type logprobs struct {
	Content []contentLogprob `json:"content"`
	Refusal []contentLogprob `json:"refusal"` // always null: nothing is refused
}

type tokenLogprob struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"` // null for a special token
}

type contentLogprob struct {
	tokenLogprob
	Top []tokenLogprob `json:"top_logprobs"`
}

// logprobsOf is nil when none were asked for.
func logprobsOf(asked bool, tokens []pipeline.LogProb) *logprobs {
	if !asked {
		return nil
	}
	l := &logprobs{Content: make([]contentLogprob, len(tokens))}
	for i, t := range tokens {
		l.Content[i] = contentLogprob{tokenLogprobOf(t.TokenLogProb), make([]tokenLogprob, len(t.Top))}
		for j, other := range t.Top {
			l.Content[i].Top[j] = tokenLogprobOf(other)
		}
	}
	return l
}

func tokenLogprobOf(t pipeline.TokenLogProb) tokenLogprob {
	out := tokenLogprob{Token: t.Text, Logprob: t.LogProb}
	for _, b := range t.Bytes {
		out.Bytes = append(out.Bytes, int(b))
	}
	return out
}
