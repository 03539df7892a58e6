package pipeline

// Stats are an engine's figures at one moment and since its start.
type Stats struct {
	Running, Waiting int // replies

	KVBytes  int64 // the budget
	KVUsed   int64 // taken by replies being written and by what is kept of earlier ones
	KVMade   int64 // that was ever needed at once
	KVCached int64 // kept for requests that start with the same tokens

	Steps           int64
	PromptTokens    int64 // of all replies that began
	CachedTokens    int64 // of these, such that needed no computing
	GuessedTokens   int64
	AcceptedTokens  int64 // guesses that were right
	Preemptions     int64 // replies that had to wait for memory half-way
	GeneratedTokens int64
}

// Stats returns the figures as of the last step.
func (e *Engine) Stats() Stats {
	e.loop.inbox.mu.Lock()
	defer e.loop.inbox.mu.Unlock()
	return e.loop.inbox.stats
}
