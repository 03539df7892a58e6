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

func TestRequestsThatAreRefused(t *testing.T) {
	f := withEngine(t)
	hi := `"messages":[{"role":"user","content":"hi"}]`
	long := strings.Repeat("rain and more rain ", 60)
	for _, c := range []struct {
		name, body   string
		status       int
		param, words string
	}{
		{"nothing", ``, 400, "", "empty"},
		{"not JSON", `{"messages":`, 400, "", "not valid JSON"},
		{"more than one value", `{` + hi + `} {}`, 400, "", "not valid JSON"},
		{"an array", `[]`, 400, "", "JSON object"},
		{"null", `null`, 400, "", "JSON object"},
		{"too large", `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 10<<20) + `"}]}`, 400, "", "larger than"},
		{"no messages", `{"model":"tiny"}`, 400, "messages", "missing"},
		{"empty messages", `{"messages":[]}`, 400, "messages", "empty"},
		{"messages of another type", `{"messages":"hi"}`, 400, "messages", "array, not a string"},
		{"a message of another type", `{"messages":["hi"]}`, 400, "messages[0]", "object, not a string"},
		{"no role", `{"messages":[{"content":"hi"}]}`, 400, "messages[0].role", "missing"},
		{"unknown role", `{"messages":[{"role":"user","content":"hi"},{"role":"tool","content":"x"}]}`, 400, "messages[1].role", "tool"},
		{"no content", `{"messages":[{"role":"user"}]}`, 400, "messages[0].content", "missing"},
		{"content of another type", `{"messages":[{"role":"user","content":5}]}`, 400, "messages[0].content", "the number 5"},
		{"a picture", `{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}`, 400, "messages[0].content[0].type", "image_url"},
		{"negative temperature", `{` + hi + `,"temperature":-0.5}`, 400, "temperature", "between 0 and 2"},
		{"hot", `{` + hi + `,"temperature":2.5}`, 400, "temperature", "2.5"},
		{"temperature of another type", `{` + hi + `,"temperature":"warm"}`, 400, "temperature", "number, not a string"},
		{"top_p", `{` + hi + `,"top_p":1.5}`, 400, "top_p", "between 0 and 1"},
		{"penalty", `{` + hi + `,"frequency_penalty":-3}`, 400, "frequency_penalty", "between -2 and 2"},
		{"no tokens", `{` + hi + `,"max_tokens":0}`, 400, "max_tokens", "at least 1"},
		{"half a token", `{` + hi + `,"max_completion_tokens":1.5}`, 400, "max_completion_tokens", "integer"},
		{"n", `{` + hi + `,"n":0}`, 400, "n", "between 1 and"},
		{"stop", `{` + hi + `,"stop":7}`, 400, "stop", "string or an array"},
		{"five stops", `{` + hi + `,"stop":["a","b","c","d","e"]}`, 400, "stop", "at most 4"},
		{"empty stop", `{` + hi + `,"stop":""}`, 400, "stop", "empty"},
		{"seed", `{` + hi + `,"seed":"x"}`, 400, "seed", "integer"},
		{"bias of no token", `{` + hi + `,"logit_bias":{"x":1}}`, 400, "logit_bias", "not a token id"},
		{"bias outside the vocabulary", `{` + hi + `,"logit_bias":{"99999":1}}`, 400, "logit_bias", "99999"},
		{"stream", `{` + hi + `,"stream":"yes"}`, 400, "stream", "true or false"},
		{"stream_options alone", `{` + hi + `,"stream_options":{}}`, 400, "stream_options", "stream is true"},
		{"tools", `{` + hi + `,"tools":[{"type":"function"}]}`, 400, "tools", "not supported"},
		{"logprobs", `{` + hi + `,"logprobs":true}`, 400, "logprobs", "not supported"},
		{"JSON mode", `{` + hi + `,"response_format":{"type":"json_object"}}`, 400, "response_format", "json_object"},
		{"too long", `{"messages":[{"role":"user","content":"` + long + `"}]}`, 400, "messages", "context"},
		{"too long, streamed", `{"stream":true,"messages":[{"role":"user","content":"` + long + `"}]}`, 400, "messages", "context"},
		{"another model", `{"model":"gpt-5",` + hi + `}`, 404, "model", `serves "tiny"`},
	} {
		status, _, data := f.post(t, c.body)
		if status != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, status, c.status, data)
			continue
		}
		e := errorOf(t, data)
		param := ""
		if e.Param != nil {
			param = *e.Param
		}
		if param != c.param || !strings.Contains(e.Message, c.words) || e.Type != "invalid_request_error" {
			t.Errorf("%s: param %q, type %q, message %q; want param %q and %q", c.name, param, e.Type, e.Message, c.param, c.words)
		}
		if status, _, data := f.post(t, `{`+hi+`,"max_tokens":1}`); status != http.StatusOK {
			t.Fatalf("after %q a good request gets %d: %s", c.name, status, data)
		}
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
