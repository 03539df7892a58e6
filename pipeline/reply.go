package pipeline

import (
	"time"
	"unicode/utf8"

	"causerie/models/tokenizer"
	"causerie/pipeline/postprocess"
)

// FinishReason says why a reply ended, in OpenAI's words.
type FinishReason string

const (
	// FinishStop is a reply that came to its end: the model ended it, or a
	// stop string did.
	FinishStop FinishReason = "stop"
	// FinishLength is a reply that was cut off by MaxTokens or the context.
	FinishLength FinishReason = "length"
)

// Reply is what the model answered.
type Reply struct {
	Text         string // all the pieces that were streamed
	FinishReason FinishReason
	PromptTokens int
	// CompletionTokens counts the tokens that were generated, the one that
	// ended the reply left out.
	CompletionTokens int
	// IDs are all generated tokens, that one included.
	IDs []int32
	// DroppedTurns counts the oldest turns of the conversation that did not
	// fit the context.
	DroppedTurns int
	// CachedTokens counts the tokens of the prompt whose computation was saved
	// because another sequence started with them. It is the one field that
	// depends on what else was asked.
	CachedTokens int
	// Times are when it went from one stage to the next.
	Times Times
	// LogProbs has an entry for each of the CompletionTokens when
	// Options.LogProbs is set.
	LogProbs []LogProb
	// PromptLogProbs has an entry for each token of the prompt but the first
	// when Options.PromptLogProbs is set.
	PromptLogProbs []LogProb
}

// Times are when a reply entered its stages, zero for those that it has not
// come to.
type Times struct {
	Queued time.Time // the engine took the request
	Begun  time.Time // it got its place: the prompt is computed from here on
	First  time.Time // the first token was picked
	Done   time.Time // the last one was
}

// Piece is a part of a reply, in the order of writing. Its text holds whole
// runes and is never taken back.
type Piece struct {
	Index int    // which of the replies, from 0
	Text  string // empty only in a last piece
	// FinishReason is set in a reply's last piece, and in no other.
	FinishReason FinishReason
	// LogProbs are those of the tokens since the last piece, when
	// Options.LogProbs is set. Text may be held back longer than its tokens,
	// or dropped, so tokens and text need not match exactly.
	LogProbs []LogProb
}

// writer turns ids into the text of a reply.
type writer struct {
	tokenizer tokenizer.Tokenizer // nil: no text
	stream    *tokenizer.Stream
	chain     *postprocess.Chain
	half      []byte // of a character, with pushBytes
}

func newWriter(t tokenizer.Tokenizer, o postprocess.Options) *writer {
	w := &writer{tokenizer: t, chain: postprocess.New(o)}
	if t != nil {
		w.stream = tokenizer.NewStream(t)
	}
	return w
}

// push takes the next id and returns the text that is certain now. Special
// tokens have no text.
func (w *writer) push(id int32) string {
	if w.tokenizer == nil || w.tokenizer.IsSpecial(id) {
		return ""
	}
	return w.chain.Push(w.stream.Push(id))
}

// pushBytes is push for what a token was found to stand for.
func (w *writer) pushBytes(piece string) string {
	w.half = append(w.half, piece...)
	n := len(w.half)
	for i := n - 1; i >= max(0, n-utf8.UTFMax); i-- {
		if utf8.RuneStart(w.half[i]) {
			if !utf8.FullRune(w.half[i:]) {
				n = i
			}
			break
		}
	}
	text := string(w.half[:n])
	w.half = append(w.half[:0], w.half[n:]...)
	return w.chain.Push(text)
}

// flush ends the text; cut says that the model had more to say. Bytes that
// would begin a character but never completed it are no text.
func (w *writer) flush(cut bool) string { return w.chain.Flush(cut) }

// stopped reports whether a stop string ended the text.
func (w *writer) stopped() bool { return w.chain.Stopped() }
