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
// A request passes these stations, one file each:
//
//	prompt.go     turns become ids; whole oldest turns go when the context is full
//	engine.go     the request waits for its turn and gets a sequence (a KV cache)
//	sequence.go   what the cache already holds of the prompt is not computed again
//	batcher.go    steps of requests that run at the same time share a forward pass
//	decode.go     token after token, picked by package sampling
//	reply.go      ids become text, put right by package postprocess
//	session.go    a conversation that remembers its turns
//
// Text is only ever made by that one chain, piece by piece; a reply that was
// not streamed is the pieces put together, so both are the same by construction.
//
// A request's reply depends on the request alone: the logits of a sequence are
// bit-equal whatever shares its batch and however its prompt was cut or cached,
// and every request draws from random numbers of its own.
package pipeline
