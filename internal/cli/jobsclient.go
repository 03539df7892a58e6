package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// serverFlags say which server a command speaks with.
type serverFlags struct {
	URL string `name:"url" env:"CAUSERIE_URL" default:"http://127.0.0.1:8080" help:"The server's address."`
	Key string `env:"CAUSERIE_API_KEY" secret:"" placeholder:"KEY" help:"API key with the scope finetune, where the server asks for one."`
}

// Validate checks the address before anything is done.
func (f *serverFlags) Validate() error {
	u, err := url.Parse(f.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return fmt.Errorf("--url %q is not of the form http://HOST:PORT", f.URL)
	}
	return nil
}

func jobPath(id, what string) string { return "/fine_tuning/jobs/" + url.PathEscape(id) + what }

func (f *serverFlags) get(ctx context.Context, path string, answer any) error {
	return f.call(ctx, http.MethodGet, path, "", nil, answer)
}

// post sends an object, or nothing when body is nil.
func (f *serverFlags) post(ctx context.Context, path string, body, answer any) error {
	if body == nil {
		return f.call(ctx, http.MethodPost, path, "", nil, answer)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return f.call(ctx, http.MethodPost, path, "application/json", bytes.NewReader(data), answer)
}

// call reads the answer to a request into answer.
func (f *serverFlags) call(ctx context.Context, method, path, contentType string, body io.Reader, answer any) error {
	resp, err := f.send(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(answer); err != nil {
		return fmt.Errorf("the answer of %s: %w", f.URL, err)
	}
	return nil
}

// serverError is an answer that is none.
type serverError struct {
	status  int
	message string
}

func (e *serverError) Error() string { return e.message }

// send makes a request whose answer is a success. Close its body.
func (f *serverFlags) send(ctx context.Context, method, path, contentType string, body io.Reader) (*http.Response, error) {
	base := strings.TrimSuffix(strings.TrimRight(f.URL, "/"), "/v1")
	req, err := http.NewRequestWithContext(ctx, method, base+"/v1"+path, body)
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if f.Key != "" {
		req.Header.Set("Authorization", "Bearer "+f.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if cause, ok := errors.AsType[*url.Error](err); ok {
			err = cause.Err
		}
		return nil, fmt.Errorf("no answer from %s: %w", f.URL, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var refusal struct{ Error struct{ Message string } }
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil || json.Unmarshal(text, &refusal) != nil || refusal.Error.Message == "" {
		refusal.Error.Message = fmt.Sprintf("%s %s: %s", method, req.URL, resp.Status)
	}
	return nil, &serverError{resp.StatusCode, refusal.Error.Message}
}

// printJSON prints a value for people.
func printJSON(std *IO, v json.RawMessage) error {
	var out bytes.Buffer
	if err := json.Indent(&out, v, "", "  "); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	out.WriteByte('\n')
	_, err := out.WriteTo(std.Out)
	return err
}
