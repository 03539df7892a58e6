package openai

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// Embedded is how a request for vectors went.
type Embedded struct {
	Total  time.Duration
	Tokens int // of all texts together, by the server's count
	Width  int // of a vector
}

// Embed asks for the vectors of the texts, in one request.
func (c *Client) Embed(ctx context.Context, texts []string) (Embedded, error) {
	const path = "/v1/embeddings"
	var answer struct {
		Data []struct {
			Embedding []float32 `json:"embedding"`
		} `json:"data"`
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
		} `json:"usage"`
	}
	start := time.Now()
	body := map[string]any{"input": texts, "encoding_format": "float"}
	if c.model != "" {
		body["model"] = c.model
	}
	if err := c.call(ctx, http.MethodPost, path, body, &answer); err != nil {
		return Embedded{}, err
	}
	took := time.Since(start)
	if len(answer.Data) != len(texts) {
		return Embedded{}, fmt.Errorf("%s: %d vectors for %d texts", path, len(answer.Data), len(texts))
	}
	return Embedded{Total: took, Tokens: answer.Usage.PromptTokens, Width: len(answer.Data[0].Embedding)}, nil
}
