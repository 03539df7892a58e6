package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"
)

// contract validates requests and answers against our own document, with a
// library that nobody here wrote.
type contract struct {
	validator validator.Validator
	schemas   schema_validation.SchemaValidator
	chunks    map[string]*base.Schema // of event streams, by the end of their path
}

var theContract = sync.OnceValues(func() (*contract, error) {
	source, err := openapiJSON()
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(source)
	if err != nil {
		return nil, err
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		return nil, fmt.Errorf("%v", errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		return nil, fmt.Errorf("the document is no OpenAPI 3.1: %v", errs)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		return nil, err
	}
	c := &contract{validator: v, schemas: schema_validation.NewSchemaValidator(), chunks: map[string]*base.Schema{}}
	for path, name := range map[string]string{"/v1/chat/completions": "ChatChunk", "/v1/completions": "CompletionChunk", "/events": "JobEvent"} {
		proxy, ok := model.Model.Components.Schemas.Get(name)
		if !ok {
			return nil, fmt.Errorf("there is no schema %s", name)
		}
		c.chunks[path] = proxy.Schema()
	}
	return c, nil
})

// checked holds a server to the document: every answer must be in it, and a
// request that is not in it must not succeed.
func checked(t *testing.T, next http.Handler) http.Handler {
	t.Helper()
	c, err := theContract()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil { // the client may leave while it sends
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		tee := &teeWriter{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(tee, r)
		if r.Context().Err() == nil {
			c.check(t, r, body, tee)
		}
	})
}

// teeWriter keeps a copy of what goes to the client.
type teeWriter struct {
	http.ResponseWriter
	status int
	copy   bytes.Buffer
}

func (w *teeWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *teeWriter) Write(p []byte) (int, error) {
	w.copy.Write(p)
	return w.ResponseWriter.Write(p)
}

func (w *teeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (c *contract) check(t *testing.T, r *http.Request, body []byte, answer *teeWriter) {
	again := httptest.NewRequest(r.Method, r.URL.String(), bytes.NewReader(body))
	again.Header = r.Header.Clone()
	if len(body) > 0 && !strings.HasPrefix(again.Header.Get("Content-Type"), "multipart/") {
		again.Header.Set("Content-Type", "application/json") // curl -d says otherwise and is served
	}
	if answer.status == http.StatusNotFound && strings.Contains(answer.copy.String(), "unknown_url") ||
		answer.status == http.StatusMethodNotAllowed || r.Method == http.MethodOptions {
		return // not in the document, rightly
	}
	response := &http.Response{
		StatusCode: answer.status, Header: answer.Header().Clone(), Body: io.NopCloser(bytes.NewReader(answer.copy.Bytes())),
	}
	switch {
	case strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"):
		c.checkEvents(t, r.URL.Path, answer.copy.String())
	case strings.HasPrefix(response.Header.Get("Content-Type"), "application/json"):
		if ok, errs := c.validator.GetResponseBodyValidator().ValidateResponseBody(again, response); !ok && !(answer.status == http.StatusUnauthorized && errs[0].IsPathMissingError()) {
			t.Errorf("%s %s: the answer is not in the document: %v\n%.500s", r.Method, r.URL, errs[0], answer.copy.String())
		}
	}
	if answer.status >= 300 {
		return
	}
	if ok, errs := c.validator.ValidateHttpRequestSync(again); !ok {
		t.Errorf("%s %s succeeded, but the request is not in the document: %v\n%.500s", r.Method, r.URL, errs[0], body)
	}
}

func (c *contract) checkEvents(t *testing.T, path, stream string) {
	if strings.HasSuffix(path, "/events") {
		path = "/events"
	}
	for event := range strings.SplitSeq(stream, "\n\n") {
		if id, rest, ok := strings.Cut(event, "\n"); ok && strings.HasPrefix(id, "id: ") {
			event = rest
		}
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || data == "[DONE]" || strings.HasPrefix(data, `{"error"`) {
			continue
		}
		if ok, errs := c.schemas.ValidateSchemaString(c.chunks[path], data); !ok {
			t.Errorf("%s: the chunk is not in the document: %v\n%s", path, errs, data)
		}
	}
}

// TestEveryRouteIsInTheDocument, and the other way round.
func TestEveryRouteIsInTheDocument(t *testing.T) {
	f := newFixture(t, nil)
	served := map[string]bool{}
	err := chi.Walk(f.router(), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		served[method+" "+route] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapiDocument()
	if err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described[strings.ToUpper(method)+" "+path] = true
			}
		}
	}
	for _, route := range slices.Sorted(maps.Keys(served)) {
		if !described[route] {
			t.Errorf("%s is served, but not in openapi.yaml", route)
		}
	}
	for _, route := range slices.Sorted(maps.Keys(described)) {
		if !served[route] {
			t.Errorf("%s is in openapi.yaml, but not served", route)
		}
	}
}

// TestEveryFieldIsInTheDocument compares the fields that handlers know with
// those that the document gives for them.
func TestEveryFieldIsInTheDocument(t *testing.T) {
	data, err := openapiJSON()
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(data, &document); err != nil {
		t.Fatal(err)
	}
	body := func(path string) []string {
		return []string{"paths", path, "post", "requestBody", "content", "application/json", "schema", "properties"}
	}
	component := func(name string) []string { return []string{"components", "schemas", name, "properties"} }
	for _, c := range []struct {
		name  string
		known fields
		in    [][]string
	}{
		{"chat", chatFields, [][]string{component("Generation"), component("ChatRequest")}},
		{"completions", completionFields, [][]string{component("Generation"), component("CompletionRequest")}},
		{"embeddings", embeddingsFields, [][]string{body("/v1/embeddings")}},
		{"moderations", moderationFields, [][]string{body("/v1/moderations")}},
		{"tokenize", tokenizeFields, [][]string{body("/v1/tokenize")}},
		{"count_tokens", countFields, [][]string{body("/v1/count_tokens")}},
		{"detokenize", detokenizeFields, [][]string{body("/v1/detokenize")}},
		{"conversation", conversationFields, [][]string{body("/v1/conversations")}},
		{"items", newItemsFields, [][]string{body("/v1/conversations/{conversation_id}/items")}},
		{"item", itemFields, [][]string{component("NewItem")}},
		{"message", messageFields, [][]string{component("Message")}},
		{"job", jobFields, [][]string{component("JobRequest")}},
		{"job's method", methodFields, [][]string{component("JobMethod")}},
		{"hyperparameters", supervisedFields, [][]string{component("Hyperparameters")}},
		{"hyperparameters of DPO", dpoFields, [][]string{component("DPOHyperparameters")}},
		{"adapter", adapterFields, [][]string{component("Adapter")}},
		{"stream_options", streamFields, [][]string{component("StreamOptions")}},
	} {
		described := map[string]bool{}
		for _, path := range c.in {
			at := document
			for _, step := range path {
				at = at.(map[string]any)[step]
			}
			for name := range at.(map[string]any) {
				described[name] = true
			}
		}
		known := slices.Concat(c.known.served, c.known.idle)
		for name, nothing := range c.known.refused {
			if nothing != nil { // there are values that are let through
				known = append(known, name)
			}
		}
		for _, name := range known {
			if !described[name] {
				t.Errorf("%s: %s is accepted, but not in openapi.yaml", c.name, name)
			}
		}
		for name := range described {
			if _, refused := c.known.refused[name]; !refused && !slices.Contains(known, name) {
				t.Errorf("%s: %s is in openapi.yaml, but not known", c.name, name)
			}
		}
	}
}

func TestDocsPage(t *testing.T) {
	f := newFixture(t, nil)
	status, header, data := f.do(t, http.MethodGet, "/docs", "")
	if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		t.Fatalf("%d %s", status, header)
	}
	for _, want := range []string{"/v1/chat/completions", "Reply to a conversation", "http://127.0.0.1:"} {
		if !strings.Contains(string(data), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(string(data), "<script") || strings.Contains(string(data), "https://") {
		t.Error("the page loads something from elsewhere")
	}
}
