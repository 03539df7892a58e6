package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"causerie/api/store"
	"causerie/finetune/jobs"
	"causerie/pipeline"
)

// Error is OpenAI's error object and the HTTP status it goes with.
type Error struct {
	Status  int
	Message string
	Type    string // "invalid_request_error", "server_error", …
	Param   string // the field at fault, if one is
	Code    string // a machine-readable reason, if there is one
	// RetryAfter is how long to wait before asking again, where that is known.
	RetryAfter time.Duration
	cause      error
}

func (e *Error) Error() string {
	if e.Param != "" {
		return fmt.Sprintf("%s: %s", e.Param, e.Message)
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.cause }

// MarshalJSON gives the object clients expect: absent values are null.
func (e *Error) MarshalJSON() ([]byte, error) {
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	b := body{Message: e.Message, Type: e.Type, Param: optional(e.Param), Code: optional(e.Code)}
	return json.Marshal(struct {
		Error body `json:"error"`
	}{b})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// invalid is a request that can never succeed as it is.
func invalid(param, format string, args ...any) *Error {
	return &Error{
		Status: http.StatusBadRequest, Type: "invalid_request_error",
		Param: param, Message: fmt.Sprintf(format, args...),
	}
}

// busyFor is the model's estimate of how long it stays busy, 0 without one.
func busyFor(err error) time.Duration {
	if busy, ok := errors.AsType[*pipeline.BusyError](err); ok {
		return busy.After
	}
	return 0
}

// missing says what is not there when err is that it is not; other errors stay.
func missing(err error, what, id string) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return &Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Code: "not_found",
		Message: fmt.Sprintf("there is no %s %q", what, id), cause: err,
	}
}

// asParam says which field a model's complaint about its prompt belongs to.
func asParam(err error, param string) error {
	e := *toError(err)
	if e.Status != http.StatusBadRequest || (e.Param != "" && e.Param != "messages") {
		return err
	}
	e.Param = param
	return &e
}

// statusClientGone is what the log says when nobody waits for the answer any
// more; it is never sent.
const statusClientGone = 499

// toError is the one place where errors of this project become HTTP.
func toError(err error) *Error {
	var own *Error
	var tooLong *pipeline.PromptTooLongError
	var option *pipeline.OptionError
	var input *pipeline.InputError
	var token *pipeline.TokenError
	var job *jobs.RequestError
	var status *jobs.StatusError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &tooLong):
		return &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "messages",
			Code: "context_length_exceeded", Message: tooLong.Error(), cause: err,
		}
	case errors.As(err, &input):
		e := &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error", Param: "input", Message: input.Error(), cause: err,
		}
		if input.TooLong {
			e.Code = "context_length_exceeded"
			e.Message += "; with \"truncate\": true the rest is left out"
		}
		return e
	case errors.As(err, &option):
		return &Error{
			Status: http.StatusBadRequest, Type: "invalid_request_error",
			Param: option.Field, Message: option.Error(), cause: err,
		}
	case errors.As(err, &token):
		return invalid("", "%v", token)
	case errors.As(err, &job):
		return jobError(job)
	case errors.As(err, &status):
		e := invalid("", "%v", status)
		e.Code = "invalid_job_status"
		return e
	case errors.Is(err, jobs.ErrInUse):
		e := invalid("model", "the model cannot be deleted: others are made of it; delete those first")
		e.Code = "model_in_use"
		return e
	case errors.Is(err, pipeline.ErrNoMessages):
		return invalid("messages", "%v", err)
	case errors.Is(err, pipeline.ErrNoPrompt):
		return invalid("prompt", "%v", err)
	case errors.Is(err, store.ErrAfter):
		return invalid("after", "after names nothing in this list")
	case errors.Is(err, store.ErrTooMany):
		return invalid("items", "a conversation can hold %d items", store.MaxItems)
	case errors.Is(err, store.ErrFull):
		return &Error{
			Status: http.StatusInsufficientStorage, Type: "server_error", Code: "storage_full",
			Message: "the space for stored data is used up; delete something first", cause: err,
		}
	case errors.Is(err, pipeline.ErrBusy):
		return &Error{
			Status: http.StatusTooManyRequests, Type: "rate_limit_error", Code: "busy",
			Message: "too many requests are waiting; try again shortly", RetryAfter: busyFor(err), cause: err,
		}
	case errors.Is(err, pipeline.ErrClosed):
		return &Error{
			Status: http.StatusServiceUnavailable, Type: "server_error", Code: "shutting_down",
			Message: "the server is shutting down", cause: err,
		}
	case errors.Is(err, context.Canceled):
		return &Error{Status: statusClientGone, Type: "server_error", Message: "the client went away", cause: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Status: http.StatusGatewayTimeout, Type: "server_error", Code: "timeout", Message: "the reply took too long", cause: err}
	}
	return &Error{
		Status: http.StatusInternalServerError, Type: "server_error",
		Message: "the server could not answer; its log says why", cause: err,
	}
}

// jobError is what is wrong with a request for a fine-tuning job.
func jobError(bad *jobs.RequestError) *Error {
	e := invalid(bad.Param, "%s", bad.Message)
	e.Code = bad.Code
	if bad.Code == jobs.CodeModelNotFound {
		e.Status = http.StatusNotFound
	}
	return e
}

// retryAfter is how long a client should wait after these answers, when the
// error does not say.
var retryAfter = map[int]time.Duration{
	http.StatusTooManyRequests:    time.Second,
	http.StatusServiceUnavailable: 2 * time.Second,
}

// tellRetry says when to ask again: in whole seconds as the standard has it,
// and in milliseconds as OpenAI's clients read first.
func tellRetry(h http.Header, after time.Duration) {
	if after <= 0 {
		return
	}
	h.Set("Retry-After", strconv.Itoa(int(math.Ceil(after.Seconds()))))
	h.Set("Retry-After-Ms", strconv.FormatInt(int64(math.Ceil(float64(after)/float64(time.Millisecond))), 10))
}

// handle makes a handler of one that leaves errors to fail.
func handle(f func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := f(w, r); err != nil {
			fail(w, r, err)
		}
	}
}

// fail answers with an error, unless an answer has begun.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	e := toError(err)
	note(r, func(n *requestNote) { n.err, n.status = err, e.Status })
	if e.Status == statusClientGone {
		return
	}
	tellRetry(w.Header(), cmp.Or(e.RetryAfter, retryAfter[e.Status]))
	if e.Status == http.StatusNotImplemented {
		w.Header().Set("X-Should-Retry", "false") // OpenAI's clients would, after any 5xx
	}
	writeJSON(w, e.Status, e)
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A failed write means that the client has gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(body)
}
