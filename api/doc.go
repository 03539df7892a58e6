// Package api serves a dialogue model over HTTP in the form OpenAI's clients
// speak. docs/api.md describes the endpoints, openapi.yaml every field.
//
//	memory, err := store.Open(ctx, store.Options{})
//	server, err := api.New(api.Options{Store: memory})
//	go server.Serve(ctx, listener)                      // answers /healthz at once
//	server.SetModel(api.ModelOf("mine", time.Now(), engine)) // now the rest too
//
// A request takes this path:
//
//	server.go       routes, listening and draining
//	logging.go      request id, one log line a request, recovery from panics
//	security.go     time limits, headers, hosts and origins
//	auth.go         API keys, scopes, owners
//	limits.go       budgets of requests and tokens
//	decode.go       the body, field by field; every error names its field
//	fields.go       what an endpoint knows of its fields; the others are refused
//	generation.go   the fields that all endpoints share that write text
//	chat.go, …      messages and parameters become a pipeline request
//	stream.go       pieces of the reply become server-sent events
//	errors.go       every error becomes OpenAI's error object, in one place
//
// To add an endpoint, give it a file with its wire types, its fields and its
// handler, a route in server.go, an entry in openapi.yaml, and a test that talks
// to it over a real connection: the fixture validates every answer against the
// document by itself.
package api
