package api

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"

	"causerie/pipeline"
)

// TestSDKLogprobs: whole and streamed the client gets the same log-probabilities,
// one for each token, and they are probabilities.
func TestSDKLogprobs(t *testing.T) {
	client := withEngine(t).sdk()
	params := openai.ChatCompletionNewParams{
		Model: "tiny", Messages: say("hello"), Seed: openai.Int(1), MaxTokens: openai.Int(12), Temperature: openai.Float(0),
		Logprobs: openai.Bool(true), TopLogprobs: openai.Int(3),
	}
	whole, err := client.Chat.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	content := whole.Choices[0].Logprobs.Content
	if len(content) != int(whole.Usage.CompletionTokens) || len(content) == 0 {
		t.Fatalf("%d log-probabilities for %d tokens", len(content), whole.Usage.CompletionTokens)
	}
	for i, token := range content {
		sum := 0.0
		for j, top := range token.TopLogprobs {
			sum += math.Exp(top.Logprob)
			if j > 0 && top.Logprob > token.TopLogprobs[j-1].Logprob {
				t.Errorf("token %d: alternatives out of order: %s", i, token.RawJSON())
			}
		}
		if len(token.TopLogprobs) != 3 || sum > 1.0001 || token.Logprob > 0 {
			t.Errorf("token %d: %s", i, token.RawJSON())
		}
	}
	stream := client.Chat.Completions.NewStreaming(t.Context(), params)
	var streamed []string
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			for _, token := range c.Logprobs.Content {
				streamed = append(streamed, fmt.Sprint(token.Token, token.Bytes, token.Logprob))
			}
		}
	}
	want := make([]string, len(content))
	for i, token := range content {
		want[i] = fmt.Sprint(token.Token, token.Bytes, token.Logprob)
	}
	if diff := cmp.Diff(want, streamed); diff != "" || stream.Err() != nil {
		t.Errorf("streamed: %v: %s", stream.Err(), diff)
	}
}

// TestSDKTextLogprobs is the same for text completions, whose form is older.
func TestSDKTextLogprobs(t *testing.T) {
	client := withEngine(t).sdk()
	params := openai.CompletionNewParams{
		Model: "tiny", Prompt: openai.CompletionNewParamsPromptUnion{OfString: openai.String("hello")}, Seed: openai.Int(1),
		MaxTokens: openai.Int(12), Logprobs: openai.Int(2), Temperature: openai.Float(1.2),
	}
	whole, err := client.Completions.New(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	l := whole.Choices[0].Logprobs
	n := int(whole.Usage.CompletionTokens)
	if n == 0 || len(l.Tokens) != n || len(l.TokenLogprobs) != n || len(l.TopLogprobs) != n || len(l.TextOffset) != n {
		t.Fatalf("%d tokens: %s", n, whole.RawJSON())
	}
	stream := client.Completions.NewStreaming(t.Context(), params)
	var tokens []string
	var values []float64
	var offsets []int64
	for stream.Next() {
		for _, c := range stream.Current().Choices {
			tokens, values = append(tokens, c.Logprobs.Tokens...), append(values, c.Logprobs.TokenLogprobs...)
			offsets = append(offsets, c.Logprobs.TextOffset...)
		}
	}
	if diff := cmp.Diff([]any{l.Tokens, l.TokenLogprobs, l.TextOffset}, []any{tokens, values, offsets}); diff != "" || stream.Err() != nil {
		t.Errorf("streamed: %v: %s", stream.Err(), diff)
	}
}

// A busy model says how long it will be.
func TestRetryAfterIsTheModelsEstimate(t *testing.T) {
	f := newFixture(t, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		return pipeline.Reply{}, fmt.Errorf("asking: %w", &pipeline.BusyError{Waiting: 64, After: 6100 * time.Millisecond})
	}))
	status, header, data := f.post(t, hi)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "7" || header.Get("Retry-After-Ms") != "6100" || *errorOf(t, data).Code != "busy" {
		t.Errorf("status %d, %v: %s", status, header, data)
	}
}
