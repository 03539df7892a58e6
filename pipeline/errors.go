package pipeline

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrBusy refuses a request because too many wait already.
	ErrBusy = errors.New("the model is busy: too many requests are waiting")
	// ErrClosed refuses a request because the engine is shutting down.
	ErrClosed = errors.New("the model is shutting down")
	// ErrNoMessages refuses a chat without a single message.
	ErrNoMessages = errors.New("the conversation has no messages")
	// ErrNoPrompt refuses a continuation of nothing.
	ErrNoPrompt = errors.New("the prompt is empty: a model needs at least one token to go on from")
	// ErrNoTokenizer refuses text where the model's folder has no tokenizer.
	ErrNoTokenizer = errors.New("the model has no tokenizer files, so it can only continue token ids")
)

// BusyError is an ErrBusy that says how busy.
type BusyError struct {
	Waiting int           // requests that wait
	After   time.Duration // about how long until half of them have had their turn
}

// Error gives the numbers.
func (e *BusyError) Error() string {
	return fmt.Sprintf("%v (%d; try again in about %s)", ErrBusy, e.Waiting, e.After.Round(time.Second))
}

// Is makes a BusyError an ErrBusy.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// PromptTooLongError refuses a prompt that leaves no room for its reply.
type PromptTooLongError struct {
	PromptTokens int // of what must be kept: system text, newest message, markers
	ReplyTokens  int // room that the reply needs
	Context      int // what the model can hold
}

// Error gives the numbers.
func (e *PromptTooLongError) Error() string {
	return fmt.Sprintf("the prompt has %d tokens and its reply needs up to %d, but the model's context holds %d in all",
		e.PromptTokens, e.ReplyTokens, e.Context)
}

// TokenError refuses a token id that the vocabulary does not have.
type TokenError struct {
	ID        int32
	Position  int // in the prompt, from 0
	VocabSize int
}

// Error names the id and the range.
func (e *TokenError) Error() string {
	return fmt.Sprintf("token id %d (number %d of the prompt) is not in the vocabulary: ids go from 0 to %d",
		e.ID, e.Position+1, e.VocabSize-1)
}
