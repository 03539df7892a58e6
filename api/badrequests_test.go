package api

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// badRequest is a line of the table in docs/api.md.
type badRequest struct {
	line                 int
	method, target, body string
	status               int
	code, param, message string
}

var badRequestLine = regexp.MustCompile("^\\| `(GET|POST|PUT|DELETE) (/[^ `]*)(?: ([^`]*))?` \\| (\\d+) \\| ([^|]*?) ?\\| ([^|]*?) ?\\| ([^|]+) \\|$")

func badRequests(t *testing.T) (list []badRequest) {
	t.Helper()
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	inTable := false
	for i, line := range strings.Split(string(text), "\n") {
		if line == "| request | status | code | param | message |" {
			inTable = true
			continue
		}
		if !inTable || strings.HasPrefix(line, "|---") || line == "" {
			continue
		}
		m := badRequestLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("docs/api.md:%d cannot be read: %s", i+1, line)
			continue
		}
		status, err := strconv.Atoi(m[4])
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, badRequest{i + 1, m[1], m[2], m[3], status, m[5], m[6], m[7]})
	}
	return list
}

func TestTheTableOfBadRequests(t *testing.T) {
	f := withTuning(t, -1, func(*Options) {})
	list := badRequests(t)
	if len(list) < 100 {
		t.Fatalf("the table has %d lines", len(list))
	}
	for _, b := range list {
		status, header, data := f.do(t, b.method, b.target, b.body)
		if status != b.status {
			t.Errorf("docs/api.md:%d: status %d: %s", b.line, status, data)
			continue
		}
		e := errorOf(t, data)
		code, param := "", ""
		if e.Code != nil {
			code = *e.Code
		}
		if e.Param != nil {
			param = *e.Param
		}
		if code != b.code || param != b.param || !strings.Contains(e.Message, b.message) || e.Type != "invalid_request_error" {
			t.Errorf("docs/api.md:%d: code %q, param %q, type %q, message %q", b.line, code, param, e.Type, e.Message)
		}
		if header.Get("X-Request-Id") == "" || header.Get("Content-Type") != "application/json" {
			t.Errorf("docs/api.md:%d: headers %v", b.line, header)
		}
		if status, _, data := f.post(t, `{"messages":[{"role":"user","content":"hi"}],"max_tokens":1}`); status != http.StatusOK {
			t.Fatalf("docs/api.md:%d: the good request after it gets %d: %s", b.line, status, data)
		}
	}
}

// TestRequestsTooLargeForATable are refused like those of the table.
func TestRequestsTooLargeForATable(t *testing.T) {
	f := withEngine(t)
	long := strings.Repeat("rain and more rain ", 60)
	many := func(item string, n int) string { return "[" + strings.Repeat(item+",", n-1) + item + "]" }
	hi := `{"role":"user","content":"hi"}`
	chat, text, embed := "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
	for _, c := range []struct{ name, path, body, code, param, message string }{
		{"body", chat, `{"messages":[{"role":"user","content":"` + strings.Repeat("a", 10<<20) + `"}]}`, "request_too_large", "", "larger than"},
		{"nesting", chat, `{"messages":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, "", "", "not valid JSON"},
		{"conversation", chat, `{"messages":[{"role":"user","content":"` + long + `"}]}`, "context_length_exceeded", "messages", "context"},
		{"streamed conversation", chat, `{"stream":true,"messages":[{"role":"user","content":"` + long + `"}]}`, "context_length_exceeded", "messages", "context"},
		{"messages", chat, `{"messages":` + many(hi, maxMessages+1) + `}`, "", "messages", "at most 4096"},
		{"stop string", chat, `{"messages":[` + hi + `],"stop":"` + strings.Repeat("s", 5000) + `"}`, "", "stop", "5000 bytes"},
		{"metadata value", chat, `{"messages":[` + hi + `],"store":true,"metadata":{"a":"` + strings.Repeat("值", 513) + `"}}`, "", "metadata", "513 characters"},
		{"metadata", chat, `{"messages":[` + hi + `],"store":true,"metadata":{` + seventeen() + `}}`, "", "metadata", "17 entries"},
		{"prompt", text, `{"prompt":"` + long + `"}`, "context_length_exceeded", "prompt", "context"},
		{"streamed prompt", text, `{"stream":true,"prompt":"` + long + `"}`, "context_length_exceeded", "prompt", "context"},
		{"prompts", text, `{"prompt":` + many(`"a"`, maxPrompts+1) + `}`, "", "prompt", "2049 texts"},
		{"choices", text, `{"prompt":` + many(`"a"`, 1000) + `,"n":3}`, "", "n", "3000 texts"},
		{"input", embed, `{"input":"` + strings.Repeat("zq ", 200) + `"}`, "context_length_exceeded", "input", "context holds 128"},
		{"inputs", embed, `{"input":` + many(`"a"`, maxInputs+1) + `}`, "", "input", "2049 texts"},
		{"items", "/v1/conversations", `{"items":` + many(hi, maxNewItems+1) + `}`, "", "items", "at most 20"},
		{"moderated", "/v1/moderations", `{"input":` + many(`"a"`, maxInputs+1) + `}`, "", "input", "2049 texts"},
	} {
		status, _, data := f.do(t, http.MethodPost, c.path, c.body)
		e := errorOf(t, data)
		code, param := "", ""
		if e.Code != nil {
			code = *e.Code
		}
		if e.Param != nil {
			param = *e.Param
		}
		if status != http.StatusBadRequest || code != c.code || param != c.param || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: %d, code %q, param %q: %s", c.name, status, code, param, e.Message)
		}
	}
}

func seventeen() string {
	entries := make([]string, 17)
	for i := range entries {
		entries[i] = `"` + strconv.Itoa(i) + `":""`
	}
	return strings.Join(entries, ",")
}
