package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Message is a turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Request asks for a reply: Prompt is continued, or answered where a server
// only has conversations; Messages, if there are any, are the conversation that
// came before.
type Request struct {
	Messages  []Message
	Prompt    string
	MaxTokens int
}

// Timing is a reply as the client saw it.
type Timing struct {
	Text   string
	Finish string // why it ended, in OpenAI's words

	// FirstToken and Total are the time from before the request was sent until
	// the first text of the reply and until its end.
	FirstToken, Total time.Duration

	PromptTokens int // by the server's count; 0 when it does not tell
	Tokens       int // of the reply, likewise; the pieces of text if it does not tell
}

// Rate is how many tokens a second came after the first one; 0 when there was
// only one.
func (t Timing) Rate() float64 {
	if took := t.Total - t.FirstToken; t.Tokens > 1 && took > 0 {
		return float64(t.Tokens-1) / took.Seconds()
	}
	return 0
}

// completionRequest is the body for both endpoints: Prompt belongs to one,
// Messages to the other. The reply is greedy, and of MaxTokens where the server
// has a way to make it so.
type completionRequest struct {
	Model         string    `json:"model,omitempty"`
	Prompt        string    `json:"prompt,omitempty"`
	Messages      []Message `json:"messages,omitempty"`
	MaxTokens     int       `json:"max_tokens"`
	Temperature   float64   `json:"temperature"`
	Stream        bool      `json:"stream"`
	StreamOptions any       `json:"stream_options"`
	IgnoreEOS     bool      `json:"ignore_eos,omitempty"` // an extension of llama.cpp and vLLM
}

// Reply asks for a reply and reads it as it is being written.
func (c *Client) Reply(ctx context.Context, r Request) (Timing, error) {
	body := completionRequest{
		Model: c.model, MaxTokens: r.MaxTokens, Stream: true, IgnoreEOS: !c.plain,
		StreamOptions: map[string]bool{"include_usage": true},
	}
	if c.endpoint == Chat {
		body.Messages = append(r.Messages[:len(r.Messages):len(r.Messages)], Message{Role: "user", Content: r.Prompt})
	} else {
		body.Prompt = flatten(r)
	}
	start := time.Now()
	answer, end, err := c.send(ctx, http.MethodPost, string(c.endpoint), body)
	if err != nil {
		return Timing{}, err
	}
	defer end()
	timing, err := readStream(answer, start)
	if e, ok := errors.AsType[*Error](err); ok {
		e.Endpoint = string(c.endpoint)
	} else if err != nil {
		err = fmt.Errorf("%s: %w", c.endpoint, err)
	}
	return timing, err
}

// flatten is a conversation as one text, for a server or a model that has no
// turns.
func flatten(r Request) string {
	var text []byte
	for _, m := range r.Messages {
		text = append(text, m.Content...)
	}
	return string(append(text, r.Prompt...))
}

// chunk is an event of either endpoint.
type chunk struct {
	Choices []struct {
		Text  string `json:"text"`
		Delta struct {
			Content string `json:"content"`
		} `json:"delta"`
		FinishReason string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens     int `json:"prompt_tokens"`
		CompletionTokens int `json:"completion_tokens"`
	} `json:"usage"`
}

// maxEvent is the most bytes of an event that are read.
const maxEvent = 1 << 20

// errUnfinished is a stream that ends without saying so.
var errUnfinished = errors.New("the reply was cut off before its end")

// readStream reads server-sent events up to "[DONE]".
func readStream(r io.Reader, start time.Time) (Timing, error) {
	var t Timing
	pieces := 0
	var text []byte
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxEvent)
	for {
		if !lines.Scan() {
			if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
				return t, fmt.Errorf("reading the reply: %w", err)
			}
			return t, errUnfinished
		}
		data, ok := bytes.CutPrefix(bytes.TrimSpace(lines.Bytes()), []byte("data:"))
		if !ok {
			continue // an empty line, a comment, an event's name
		}
		if data = bytes.TrimSpace(data); string(data) == "[DONE]" {
			break
		}
		if text := errorText(data); text != "" {
			return t, &Error{Message: text}
		}
		var event chunk
		if err := json.Unmarshal(data, &event); err != nil {
			return t, fmt.Errorf("the server sent an event that is not JSON as expected: %w", err)
		}
		for _, choice := range event.Choices {
			if piece := choice.Text + choice.Delta.Content; piece != "" {
				pieces++
				text = append(text, piece...)
				t.wrote(time.Since(start))
			}
			if choice.FinishReason != "" {
				t.Finish, t.Total = choice.FinishReason, time.Since(start)
			}
		}
		if event.Usage != nil {
			t.PromptTokens, t.Tokens = event.Usage.PromptTokens, event.Usage.CompletionTokens
		}
	}
	t.Text = string(text)
	if t.Tokens == 0 {
		t.Tokens = pieces
	}
	if pieces == 0 { // the model had nothing to say that is text
		t.wrote(time.Since(start))
	}
	return t, nil
}

// wrote notes that text came, or the end of a reply without any.
func (t *Timing) wrote(after time.Duration) {
	t.Total = after
	if t.FirstToken == 0 {
		t.FirstToken = after
	}
}
