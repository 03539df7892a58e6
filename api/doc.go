// Package api serves a dialogue model over HTTP in the form OpenAI's clients
// speak: POST /v1/chat/completions (plain and streamed), GET /v1/models, and
// /healthz and /readyz for whoever runs the server.
//
// A request takes this path:
//
//	server.go   routes and middleware (chi), listening and draining
//	logging.go  request id, one log line a request, recovery from panics
//	request.go  the body, field by field; every error names its field
//	chat.go     messages and parameters become a pipeline request
//	stream.go   pieces of the reply become server-sent events
//	errors.go   every error becomes OpenAI's error object, in one place
//
// To add an endpoint, give it a file with its wire types and its handler, a
// route in server.go, and a test that talks to it over a real connection.
package api
