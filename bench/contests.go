package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"causerie/bench/openai"
)

// contest is a request, or several at a time, that both sides answer.
type contest struct {
	group   string
	metrics []metric
	// pose makes up the next question; asking it of a side gives a value for
	// each metric.
	pose func() func(context.Context, *openai.Client) (outcome, error)
}

// metric is one thing that a contest shows.
type metric struct{ name, label, unit string }

type outcome struct {
	values []float64
	tokens Tokens
}

// contests are all of them. Texts are as long as those of Measure.
func (c *comparison) contests() []contest {
	n := min(64, c.context/4)
	list := []contest{c.conversation(), c.oneStream(n)}
	for _, streams := range c.options.Streams {
		if streams > 1 {
			list = append(list, c.streams(streams, n))
		}
	}
	return append(list, c.longPrompt(), c.embeddings())
}

func milliseconds(d time.Duration) float64 { return 1e3 * d.Seconds() }

func tokensOf(t openai.Timing) Tokens { return Tokens{Prompt: t.PromptTokens, Reply: t.Tokens} }

// oneStream is one reply, alone.
func (c *comparison) oneStream(n int) contest {
	return contest{
		group: groupDecode,
		metrics: []metric{
			{"first_token", fmt.Sprintf("first token after %d", n), "ms"},
			{"decode_1", "1 stream after its first token", "tokens/s"},
			{"reply_1", fmt.Sprintf("1 stream, whole request, %d in, %d out", n, n), "tokens/s"},
		},
		pose: func() func(context.Context, *openai.Client) (outcome, error) {
			request := openai.Request{Prompt: c.text(n), MaxTokens: n}
			return func(ctx context.Context, side *openai.Client) (outcome, error) {
				t, err := side.Reply(ctx, request)
				if err == nil && t.Tokens < 2 {
					err = fmt.Errorf("the reply has %d tokens where %d were asked for", t.Tokens, n)
				}
				if err != nil {
					return outcome{}, err
				}
				whole := float64(t.Tokens) / t.Total.Seconds()
				return outcome{[]float64{milliseconds(t.FirstToken), t.Rate(), whole}, tokensOf(t)}, nil
			}
		},
	}
}

// streams is several replies at the same time.
func (c *comparison) streams(streams, n int) contest {
	return contest{
		group: groupDecode,
		metrics: []metric{
			{fmt.Sprintf("reply_%d", streams), fmt.Sprintf("%d streams in all, %d in, %d out", streams, n, n), "tokens/s"},
			{fmt.Sprintf("first_token_%d", streams), fmt.Sprintf("first token, median of %d streams", streams), "ms"},
		},
		pose: func() func(context.Context, *openai.Client) (outcome, error) {
			requests := make([]openai.Request, streams)
			for i := range requests {
				requests[i] = openai.Request{Prompt: c.text(n), MaxTokens: n}
			}
			return func(ctx context.Context, side *openai.Client) (outcome, error) { return together(ctx, side, requests) }
		},
	}
}

// together asks for several replies at the same time.
func together(ctx context.Context, side *openai.Client, requests []openai.Request) (outcome, error) {
	timings, errs := make([]openai.Timing, len(requests)), make([]error, len(requests))
	var group sync.WaitGroup
	start := time.Now()
	for i, r := range requests {
		group.Go(func() { timings[i], errs[i] = side.Reply(ctx, r) })
	}
	group.Wait()
	took := time.Since(start)
	if err := errors.Join(errs...); err != nil {
		return outcome{}, err
	}
	tokens, first := 0, make([]float64, len(timings))
	for i, t := range timings {
		tokens += t.Tokens
		first[i] = milliseconds(t.FirstToken)
	}
	return outcome{[]float64{float64(tokens) / took.Seconds(), median(first)}, tokensOf(timings[0])}, nil
}

// conversation is the second question of a conversation of 400 tokens: a
// server that remembers the first turn has little left to read.
func (c *comparison) conversation() contest {
	whole := min(400, c.context*3/4)
	reply, question := whole/10, whole/20
	return contest{
		group:   groupConversation,
		metrics: []metric{{"second_turn", fmt.Sprintf("first token of a second turn, %d tokens in all", whole), "ms"}},
		pose: func() func(context.Context, *openai.Client) (outcome, error) {
			first, second := c.text(whole-reply-question), " "+c.text(question)
			return func(ctx context.Context, side *openai.Client) (outcome, error) {
				begun, err := side.Reply(ctx, openai.Request{Prompt: first, MaxTokens: reply})
				if err != nil {
					return outcome{}, err
				}
				said := []openai.Message{{Role: "user", Content: first}, {Role: "assistant", Content: begun.Text}}
				t, err := side.Reply(ctx, openai.Request{Messages: said, Prompt: second, MaxTokens: 4})
				if err != nil {
					return outcome{}, err
				}
				return outcome{[]float64{milliseconds(t.FirstToken)}, tokensOf(t)}, nil
			}
		},
	}
}

// longPrompt is a prompt of half the usual context.
func (c *comparison) longPrompt() contest {
	n := min(512, c.context*3/4)
	return contest{
		group:   groupPrefill,
		metrics: []metric{{fmt.Sprintf("first_token_of_%d", n), fmt.Sprintf("first token after %d", n), "ms"}},
		pose: func() func(context.Context, *openai.Client) (outcome, error) {
			request := openai.Request{Prompt: c.text(n), MaxTokens: 4}
			return func(ctx context.Context, side *openai.Client) (outcome, error) {
				t, err := side.Reply(ctx, request)
				return outcome{[]float64{milliseconds(t.FirstToken)}, tokensOf(t)}, err
			}
		},
	}
}

// embeddings is a request of several texts to embed.
func (c *comparison) embeddings() contest {
	const texts = 8
	n := min(128, c.context)
	return contest{
		group:   groupEmbeddings,
		metrics: []metric{{"embeddings_128", fmt.Sprintf("embedding texts of %d tokens", n), "texts/s"}},
		pose: func() func(context.Context, *openai.Client) (outcome, error) {
			inputs := make([]string, texts)
			for i := range inputs {
				inputs[i] = c.text(n)
			}
			return func(ctx context.Context, side *openai.Client) (outcome, error) {
				e, err := side.Embed(ctx, inputs)
				if err != nil {
					return outcome{}, err
				}
				return outcome{[]float64{texts / e.Total.Seconds()}, Tokens{Prompt: e.Tokens / texts}}, nil
			}
		},
	}
}
