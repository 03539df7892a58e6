// Package openai drives any server that speaks OpenAI's HTTP API, this
// program's own included, and times its replies as a client sees them:
//
//	c, err := openai.New("http://127.0.0.1:8080", openai.Options{})
//	err = c.Discover(ctx)                     // which model, which endpoint
//	timing, err := c.Reply(ctx, openai.Request{Prompt: "Once upon a time", MaxTokens: 64})
//	fmt.Println(timing.FirstToken, timing.Rate())
//
// Servers differ in which endpoints they have and in what they count; Discover
// finds out, so that the same Request goes to each in the form it understands.
package openai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options of a Client. The zero value is usable.
type Options struct {
	// Model is the name that requests carry; without one Discover takes the
	// first that the server lists.
	Model string
	// Key, if any, is sent as the bearer token.
	Key string
	// Silence is how long a server may say nothing in the middle of an answer;
	// 0 means a minute.
	Silence time.Duration
	// KeepAlive is how long a connection waits for another request; 0 means two
	// seconds, as some servers close them after five.
	KeepAlive time.Duration
	// Endpoint is tried first by Discover; empty means Completions, which knows
	// exactly how long a prompt is.
	Endpoint Endpoint
}

// Client asks one server. Its methods may be called from any goroutine, once
// Discover has returned.
type Client struct {
	base     *url.URL
	http     *http.Client
	options  Options
	model    string
	endpoint Endpoint
	plain    bool // the server refuses fields that are not OpenAI's
}

// Endpoint is where replies are asked for.
type Endpoint string

// The two endpoints that write text.
const (
	Completions Endpoint = "/v1/completions"
	Chat        Endpoint = "/v1/chat/completions"
)

// New returns a client of the server at base, such as http://127.0.0.1:8080;
// a "/v1" at the end may be there or not.
func New(base string, o Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.TrimRight(base, "/"), "/v1"))
	if err != nil {
		return nil, fmt.Errorf("the server's address: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the server's address %q is not of the form http://HOST:PORT", base)
	}
	if o.Silence == 0 {
		o.Silence = time.Minute
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = 2 * time.Second
	}
	return &Client{base: u, http: newHTTP(o), options: o, model: o.Model, endpoint: Chat}, nil
}

func newHTTP(o Options) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	transport.IdleConnTimeout = o.KeepAlive
	transport.DisableCompression = true
	return &http.Client{Transport: transport}
}

// Another is a client of the same server, with what Discover found, on
// connections of its own.
func (c *Client) Another() *Client {
	other := *c
	other.http = newHTTP(c.options)
	return &other
}

// Close ends the connections that wait for another request.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is the server's address.
func (c *Client) URL() string { return c.base.String() }

// Model is the name that requests carry.
func (c *Client) Model() string { return c.model }

// Endpoint is where Reply asks.
func (c *Client) Endpoint() Endpoint { return c.endpoint }

// Error is an answer that says what is wrong, in OpenAI's form or not.
type Error struct {
	Endpoint string
	Status   int // 0 when the error came in the middle of a stream
	Message  string
	// RetryAfter is how long the server asks to wait, if it does.
	RetryAfter time.Duration
}

// Error gives the server's words.
func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: the server broke the reply off: %s", e.Endpoint, e.Message)
	}
	return fmt.Sprintf("%s: status %d: %s", e.Endpoint, e.Status, e.Message)
}

// missing reports whether an error says that there is no such endpoint.
func missing(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusNotImplemented)
}

// Discover finds the model's name, if none was given, and the endpoint that
// takes a plain prompt or, where the server has none, conversations. It asks
// for a reply of one token and so warms the server up, too.
func (c *Client) Discover(ctx context.Context) error {
	if c.model == "" {
		names, err := c.Models(ctx)
		if err != nil && !missing(err) {
			return err
		}
		if len(names) > 0 {
			c.model = names[0]
		}
	}
	var err error
	endpoints := []Endpoint{Completions, Chat}
	if c.options.Endpoint == Chat {
		slices.Reverse(endpoints)
	}
	for _, c.endpoint = range endpoints {
		for _, c.plain = range []bool{false, true} {
			_, err = c.Reply(ctx, Request{Prompt: "Hello", MaxTokens: 1})
			if e, ok := errors.AsType[*Error](err); !ok || e.Status != http.StatusBadRequest && e.Status != http.StatusUnprocessableEntity {
				break // not a complaint about a field
			}
		}
		if !missing(err) {
			return err
		}
	}
	return err
}

// Models lists the names that the server knows.
func (c *Client) Models(ctx context.Context) ([]string, error) {
	var list struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := c.call(ctx, http.MethodGet, "/v1/models", nil, &list); err != nil {
		return nil, err
	}
	names := make([]string, len(list.Data))
	for i, m := range list.Data {
		names[i] = m.ID
	}
	return names, nil
}

// call sends a request and decodes the answer, which comes in one piece.
func (c *Client) call(ctx context.Context, method, path string, body, answer any) error {
	response, end, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer end()
	if err := json.NewDecoder(response).Decode(answer); err != nil {
		return fmt.Errorf("%s: the answer is not what was expected: %w", path, err)
	}
	return nil
}

// send sends a request and returns the body of an answer of status 200. end
// must be called when it has been read.
func (c *Client) send(ctx context.Context, method, path string, body any) (_ io.Reader, end func(), err error) {
	var payload io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: encoding the request: %w", path, err)
		}
		payload = bytes.NewReader(b)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		if err != nil {
			cancel(nil)
		}
	}()
	request, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), payload)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	// A greedy reply may be asked for again: if the server closed an idle
	// connection just now, another one is used. The key itself is not sent.
	request.Header["Idempotency-Key"] = []string{}
	if c.options.Key != "" {
		request.Header.Set("Authorization", "Bearer "+c.options.Key)
	}
	watch := newWatch(c.options.Silence, cancel)
	response, err := c.http.Do(request)
	if err != nil {
		watch.stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	end = func() {
		watch.stop()
		_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // what is left keeps the connection from being used again
		_ = response.Body.Close()
		cancel(nil)
	}
	reader := &watchedReader{Reader: response.Body, watch: watch, ctx: ctx}
	if response.StatusCode != http.StatusOK {
		defer end()
		return nil, nil, &Error{
			Endpoint: path, Status: response.StatusCode, Message: message(reader), RetryAfter: retryAfter(response.Header),
		}
	}
	return reader, end, nil
}

// retryAfter is what the headers ask for, 0 if nothing: milliseconds as OpenAI
// says them, or whole seconds.
func retryAfter(h http.Header) time.Duration {
	if n, err := strconv.ParseUint(h.Get("Retry-After-Ms"), 10, 31); err == nil {
		return time.Duration(n) * time.Millisecond
	}
	if n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	return 0
}

// message is what an error's body says.
func message(r io.Reader) string {
	body, _ := io.ReadAll(io.LimitReader(r, 64<<10)) // as much as there is
	if text := errorText(body); text != "" {
		return text
	}
	text := strings.TrimSpace(string(body))
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	if text == "" {
		text = "(no message)"
	}
	return text
}

// errorText finds the message in {"error": {"message": …}} or {"error": "…"}.
func errorText(body []byte) string {
	var answer struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Error == nil {
		return ""
	}
	var object struct {
		Message string `json:"message"`
	}
	var text string
	if json.Unmarshal(answer.Error, &object) == nil && object.Message != "" {
		return object.Message
	}
	if json.Unmarshal(answer.Error, &text) == nil {
		return text
	}
	return string(answer.Error)
}
