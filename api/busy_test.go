package api

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"causerie/pipeline"
)

// A busy model says how long it will be.
func TestRetryAfterIsTheModelsEstimate(t *testing.T) {
	f := newFixture(t, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		return pipeline.Reply{}, fmt.Errorf("asking: %w", &pipeline.BusyError{Waiting: 64, After: 6100 * time.Millisecond})
	}))
	status, header, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}]}`)
	if status != http.StatusTooManyRequests || header.Get("Retry-After") != "7" || *errorOf(t, data).Code != "busy" {
		t.Errorf("status %d, Retry-After %q: %s", status, header.Get("Retry-After"), data)
	}
}
