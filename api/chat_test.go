package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"causerie/pipeline"
)

func TestChatCompletion(t *testing.T) {
	f := withEngine(t)
	status, header, data := f.post(t, `{"model":"tiny","messages":[{"role":"user","content":"hello"}],"seed":1,"max_tokens":12,"user":"me"}`)
	if status != http.StatusOK || header.Get("Content-Type") != "application/json" {
		t.Fatalf("status %d, type %q: %s", status, header.Get("Content-Type"), data)
	}
	var got chatCompletion
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Object != "chat.completion" || got.Model != "tiny" || !strings.HasPrefix(got.ID, "chatcmpl-") || len(got.Choices) != 1 {
		t.Errorf("unexpected answer %s", data)
	}
	c, u := got.Choices[0], got.Usage
	if c.Message.Role != "assistant" || (c.FinishReason != "stop" && c.FinishReason != "length") {
		t.Errorf("unexpected choice %+v", c)
	}
	if u.PromptTokens < 3 || u.CompletionTokens < 1 || u.CompletionTokens > 12 || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
		t.Errorf("unexpected usage %+v", u)
	}
	if c.FinishReason == "length" && u.CompletionTokens != 12 {
		t.Errorf("cut at %d tokens, not at 12", u.CompletionTokens)
	}
	_, _, again := f.post(t, `{"messages":[{"role":"user","content":[{"type":"text","text":"hel"},{"type":"text","text":"lo"}]}],"seed":1,"max_tokens":12}`)
	var second chatCompletion
	if err := json.Unmarshal(again, &second); err != nil {
		t.Fatal(err)
	}
	if second.Choices[0] != c || second.Usage != u {
		t.Errorf("the same request in other words gave %+v, not %+v", second.Choices[0], c)
	}
}

// TestStream checks the order of events that OpenAI's clients rely on, and
// that a streamed reply is the reply.
func TestStream(t *testing.T) {
	f := withEngine(t)
	for _, body := range []string{
		`"seed":3,"max_tokens":20`, `"seed":4`, `"temperature":0`, `"seed":5,"n":3`, `"seed":6,"stop":["e","的"]`,
	} {
		ask := `{"messages":[{"role":"user","content":"tell me a story"}],` + body
		_, _, data := f.post(t, ask+`}`)
		var whole chatCompletion
		if err := json.Unmarshal(data, &whole); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		status, header, data := f.post(t, ask+`,"stream":true,"stream_options":{"include_usage":true}}`)
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/event-stream") {
			t.Fatalf("status %d, type %q", status, header.Get("Content-Type"))
		}
		checkStream(t, body, events(t, data), whole)
	}
}

func checkStream(t *testing.T, name string, got []string, whole chatCompletion) {
	t.Helper()
	if len(got) < 3 || got[len(got)-1] != "[DONE]" {
		t.Fatalf("%s: the stream does not end with [DONE]: %q", name, got)
	}
	texts, begun, finished := make([]string, len(whole.Choices)), make([]bool, len(whole.Choices)), make([]string, len(whole.Choices))
	id := ""
	for i, e := range got[:len(got)-1] {
		var chunk usageChunk
		if err := json.Unmarshal([]byte(e), &chunk); err != nil {
			t.Fatal(err)
		}
		if id == "" {
			id = chunk.ID
		}
		if chunk.ID != id || chunk.Object != "chat.completion.chunk" {
			t.Fatalf("%s: chunk %d has id %q and object %q", name, i, chunk.ID, chunk.Object)
		}
		if i == len(got)-2 {
			if len(chunk.Choices) != 0 || chunk.Usage == nil || *chunk.Usage != whole.Usage {
				t.Errorf("%s: the last chunk is %s, want no choices and usage %+v", name, e, whole.Usage)
			}
			continue
		}
		if chunk.Usage != nil || !strings.Contains(e, `"usage":null`) || len(chunk.Choices) != 1 {
			t.Fatalf("%s: chunk %d is %s", name, i, e)
		}
		c := chunk.Choices[0]
		if (c.Delta.Role == "assistant") == begun[c.Index] || finished[c.Index] != "" {
			t.Fatalf("%s: the role belongs into the first chunk of a choice, and nothing after its last: %s", name, e)
		}
		begun[c.Index] = true
		if c.Delta.Content != nil {
			texts[c.Index] += *c.Delta.Content
		}
		if c.FinishReason != nil {
			finished[c.Index] = *c.FinishReason
			if c.Delta.Content != nil {
				t.Errorf("%s: text in the finishing chunk %s", name, e)
			}
		}
	}
	for i, c := range whole.Choices {
		if texts[i] != c.Message.Content || finished[i] != c.FinishReason {
			t.Errorf("%s: streamed %q (%s), whole %q (%s)", name, texts[i], finished[i], c.Message.Content, c.FinishReason)
		}
	}
}

func TestStreamWithoutUsageHasNoUsageField(t *testing.T) {
	f := withEngine(t)
	_, _, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}],"stream":true,"seed":1}`)
	if strings.Contains(string(data), `"usage"`) {
		t.Errorf("usage was not asked for: %s", data)
	}
}

func TestValuesThatAskForNothingAreServed(t *testing.T) {
	f := withEngine(t)
	status, _, data := f.post(t, `{"messages":[{"role":"developer","content":"Be brief."},{"role":"user","content":"hi"}],
		"tools":[],"logprobs":false,"response_format":{"type":"text"},"temperature":null,"stop":null,"max_tokens":2,"user":"me","store":false}`)
	if status != http.StatusOK {
		t.Errorf("status %d: %s", status, data)
	}
}

func TestErrorsOfTheModel(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		retry  bool
	}{
		{pipeline.ErrBusy, http.StatusTooManyRequests, true},
		{fmt.Errorf("waiting: %w", pipeline.ErrClosed), http.StatusServiceUnavailable, true},
		{&pipeline.PromptTooLongError{PromptTokens: 9, Context: 8}, http.StatusBadRequest, false},
		{context.DeadlineExceeded, http.StatusGatewayTimeout, false},
		{errors.New("secret: disk on fire"), http.StatusInternalServerError, false},
	} {
		f := newFixture(t, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
			return pipeline.Reply{}, c.err
		}))
		status, header, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}]}`)
		e := errorOf(t, data)
		if status != c.status || (header.Get("Retry-After") != "") != c.retry {
			t.Errorf("%v: status %d, Retry-After %q", c.err, status, header.Get("Retry-After"))
		}
		if strings.Contains(e.Message, "secret") {
			t.Errorf("the inside of an error went out: %s", data)
		}
	}
}

func TestErrorInsideAStream(t *testing.T) {
	f := newFixture(t, chatterFunc(func(_ context.Context, _ pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		if err := emit(pipeline.Piece{Text: "Once"}); err != nil {
			return pipeline.Reply{}, err
		}
		return pipeline.Reply{}, errors.New("out of ink")
	}))
	_, _, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}],"stream":true}`)
	got := events(t, data)
	if len(got) != 3 || !strings.Contains(got[1], "Once") {
		t.Fatalf("unexpected events %q", got)
	}
	errorOf(t, []byte(got[2]))
}

func TestGenerationStopsWhenTheClientGoes(t *testing.T) {
	started, stopped := make(chan struct{}), make(chan error, 1)
	f := newFixture(t, chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		if err := emit(pipeline.Piece{Text: "Once"}); err != nil {
			return pipeline.Reply{}, err
		}
		close(started)
		<-ctx.Done()
		stopped <- ctx.Err()
		return pipeline.Reply{}, ctx.Err()
	}))
	ctx, leave := context.WithCancel(t.Context())
	go func() {
		<-started
		leave()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.http.URL+"/v1/chat/completions",
		strings.NewReader(`{"messages":[{"role":"user","content":"hi"}],"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := f.http.Client().Do(req); err == nil {
		resp.Body.Close()
	}
	select {
	case err := <-stopped:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("generation ended with %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("generation went on without its client")
	}
	if f.http.Close(); !strings.Contains(f.log.String(), `"status":499`) {
		t.Errorf("the log does not say that the client went: %s", f.log)
	}
}
