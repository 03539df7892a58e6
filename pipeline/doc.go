// Package pipeline turns text into a reply: it owns a loaded model and runs
// conversations and plain continuations on it, for the terminal and for HTTP
// alike.
//
//	engine, err := pipeline.NewEngine(model, pipeline.EngineOptions{})
//	defer engine.Close(ctx)
//	reply, err := engine.Chat(ctx, pipeline.ChatRequest{
//		Messages: []dialogue.Turn{dialogue.User("你好")},
//		Options:  engine.ChatDefaults(),
//	}, func(p pipeline.Piece) error { fmt.Print(p.Text); return nil })
//
// A request passes these stations:
//
//	prompt.go     turns become ids; whole oldest turns go when the context is full
//	order.go      what is asked for becomes sequences, one for each reply
//	loop.go       one goroutine owns the model and computes step after step
//	schedule.go   what a step computes: tokens of replies, pieces of prompts, texts
//	prefix.go     what is known of a prompt already is not computed again
//	speculate.go  guesses of how a reply goes on, checked in the same step
//	sequence.go   tokens picked by package sampling, and when a reply ends
//	constrain.go  the tokens allowed by package grammar, where a form was asked for
//	reply.go      ids become text, put right by package postprocess
//	request.go    pieces wait here for the caller, who may be slow
//	session.go    a conversation that remembers its turns
//
// Texts to embed (embed.go, embedjob.go) are part of the loop's steps. A sentence
// encoder does nothing else, so it has an engine and a loop of its own, [Encoder];
// the checks, the way in (admission.go) and the pooling (pooling.go) are the same.
//
// # The loop
//
// Decoding is bound by reading the weights, and a batch reads them once. So
// everything that runs shares one forward pass a step: the next token of every
// reply, with guesses behind it when few are being written; pieces of prompts,
// at most [EngineOptions].StepTokens of them (MixedTokens beside replies), in
// the order of arrival; and texts to embed. Then every sequence's next token
// is picked, on all threads, and the next step begins. A reply never waits for
// another's prompt to be computed whole, and no step for a client: what is
// written waits in the request's buffer.
//
// # Memory
//
// Keys and values live in blocks of [gpt2.BlockTokens] tokens within a budget,
// KVBytes. Blocks of prompts and replies are kept and found again by their
// tokens, so that a second turn, or another request with the same system text,
// even at the same time, uses them. A last block that two would write is
// copied. When the budget is used up, the least recently used blocks of nobody
// go; when replies being written need more still, the newest of them gives its
// memory up and starts again, before all that wait, once there is room. The
// oldest always has room, so every reply is finished.
//
// # What a reply depends on
//
// On its request alone. The logits of a sequence are bit-equal whatever shares
// its step and however its prompt was cut or found; every reply draws from
// random numbers of its own, one draw for each token; a guess counts only when
// it is what was drawn. TestInvariance holds the engine to that:
//
//	go test ./pipeline -run Invariance -v
//
// Text is only ever made by one chain, piece by piece; a reply that was not
// streamed is the pieces put together, so both are the same by construction.
//
// When something panics in a step, the requests in it get a [PanicError] and
// the loop goes on with the others.
package pipeline
