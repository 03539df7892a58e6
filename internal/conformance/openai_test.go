package conformance_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"causerie/internal/cli"
)

// start runs `causerie serve --conformance` and returns its address.
func start(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	logs, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- cli.Main(ctx, []string{"serve", "--conformance", "--listen", "127.0.0.1:0", "--log-json"},
			cli.IO{In: strings.NewReader(""), Out: io.Discard, Err: w})
		w.Close()
	}()
	ready := make(chan string, 1)
	go func() {
		address := ""
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			var line struct{ Message, Address string }
			if json.Unmarshal(lines.Bytes(), &line) != nil {
				continue
			}
			switch line.Message {
			case "listening":
				address = line.Address
			case "ready":
				ready <- "http://" + address + "/v1"
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		if c := <-code; c != 0 {
			t.Errorf("the server ended with exit code %d", c)
		}
	})
	select {
	case url := <-ready:
		return url
	case <-time.After(30 * time.Second):
		t.Fatal("the server does not become ready")
		return ""
	}
}

// TestSeed: what the tests below look for is there, on a server that else
// refuses what all do.
func TestSeed(t *testing.T) {
	url := start(t)
	for _, c := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/chat/completions/completion_id", http.StatusOK},
		{http.MethodGet, "/chat/completions/completion_id/messages", http.StatusOK},
		{http.MethodGet, "/conversations/conv_123/items/msg_abc", http.StatusOK},
		{http.MethodGet, "/models/gpt-6-astra", http.StatusOK},
		{http.MethodDelete, "/models/gpt-6-astra", http.StatusForbidden},
		{http.MethodGet, "/models/gpt-5", http.StatusNotFound},
		{http.MethodGet, "/chat/completions?limit=0", http.StatusBadRequest},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, resp.StatusCode, c.status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

const module = "github.com/openai/openai-go/v3"

// generated are OpenAI's tests of the endpoints that this server has, by their
// package in the module and their file. A test with nothing after its name must
// pass. The others send something that this server refuses, by intent, and must
// get exactly that answer.
var generated = []struct {
	folder, file, test string
	refused            []string // parts of the answer that it gets
}{
	// It sends every parameter of the specification at once; that several cannot
	// be had is in docs/api.md. The first one is named.
	{"", "chatcompletion_test.go", "TestChatCompletionNewWithOptionalParams", []string{"400 Bad Request", `"param":"audio"`, `"code":"unsupported_parameter"`}},
	{"", "chatcompletion_test.go", "TestChatCompletionGet", nil},
	{"", "chatcompletion_test.go", "TestChatCompletionUpdate", nil},
	// A page of 0 entries, and one that begins after an id that is not there.
	{"", "chatcompletion_test.go", "TestChatCompletionListWithOptionalParams", []string{"400 Bad Request", `"param":"limit"`}},
	{"", "chatcompletion_test.go", "TestChatCompletionDelete", nil},
	{"", "chatcompletionmessage_test.go", "TestChatCompletionMessageListWithOptionalParams", []string{"400 Bad Request", `"param":"limit"`}},
	// A suffix: a model that writes on cannot fill in. (best_of 0 and a bias for
	// the token "foo" are no values either.)
	{"", "completion_test.go", "TestCompletionNewWithOptionalParams", []string{"400 Bad Request", `"param":"suffix"`, `"code":"unsupported_parameter"`}},
	{"", "embedding_test.go", "TestEmbeddingNewWithOptionalParams", nil},
	{"", "model_test.go", "TestModelGet", nil},
	{"", "model_test.go", "TestModelList", nil},
	// Only jobs make models that can be deleted, and they give the names.
	{"", "model_test.go", "TestModelDelete", []string{"404 Not Found", `"code":"model_not_found"`}},
	{"", "moderation_test.go", "TestModerationNewWithOptionalParams", nil},
	// A message's phase belongs to models that think aloud.
	{"conversations", "conversation_test.go", "TestConversationNewWithOptionalParams", []string{"400 Bad Request", `"param":"items[0].phase"`, `"code":"unsupported_parameter"`}},
	{"conversations", "conversation_test.go", "TestConversationGet", nil},
	{"conversations", "conversation_test.go", "TestConversationUpdate", nil},
	{"conversations", "conversation_test.go", "TestConversationDelete", nil},
	// What they ask to include belongs to a search in files.
	{"conversations", "item_test.go", "TestItemNewWithOptionalParams", []string{"400 Bad Request", `"param":"include"`, `"code":"unsupported_parameter"`}},
	{"conversations", "item_test.go", "TestItemGetWithOptionalParams", []string{"400 Bad Request", `"param":"include"`, `"code":"unsupported_parameter"`}},
	{"conversations", "item_test.go", "TestItemListWithOptionalParams", []string{"400 Bad Request", `"param":"limit"`}}, // it is read first
	{"conversations", "item_test.go", "TestItemDelete", nil},
}

// TestOpenAIsGeneratedTests builds the tests of OpenAI's Go client from the
// module cache and runs each against a server of its own.
func TestOpenAIsGeneratedTests(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("set CAUSERIE_LONG=1")
	}
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("the module %s is not there: %v", module, err)
	}
	for _, folder := range []string{"", "conversations"} {
		checkList(t, dir, folder)
		program := build(t, folder)
		for _, c := range generated {
			if c.folder == folder {
				t.Run(c.test, func(t *testing.T) { runOne(t, program, filepath.Join(dir, folder), c.test, c.refused) })
			}
		}
	}
}

// build compiles a package's tests as they lie in the module cache.
func build(t *testing.T, folder string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "openai.test")
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, module+strings.TrimSuffix("/"+folder, "/")).CombinedOutput()
	if err != nil {
		for _, offline := range []string{"dial tcp", "no such host", "i/o timeout", "module lookup disabled", "missing go.sum entry"} {
			if strings.Contains(string(out), offline) {
				t.Skipf("what the tests need cannot be fetched: %s", out)
			}
		}
		t.Fatalf("building OpenAI's tests: %v\n%s", err, out)
	}
	return program
}

var testName = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

// checkList: a test that came into one of the files with another version of the
// module belongs into the list.
func checkList(t *testing.T, dir, folder string) {
	t.Helper()
	var there, listed, files []string
	for _, c := range generated {
		if c.folder == folder {
			listed = append(listed, c.test)
			files = append(files, c.file)
		}
	}
	for _, file := range slices.Compact(files) { // a file's tests follow each other
		source, err := os.ReadFile(filepath.Join(dir, folder, file))
		if err != nil {
			t.Skipf("the module's test files are not there: %v", err)
		}
		for _, match := range testName.FindAllSubmatch(source, -1) {
			there = append(there, string(match[1]))
		}
	}
	if !slices.Equal(there, listed) {
		t.Errorf("the module has the tests %v,\nthe list %v", there, listed)
	}
}

// recorded passes requests on to a server and keeps the last answer that was an
// error: OpenAI's client does not print it.
func recorded(t *testing.T, server string) (url string, last func() string) {
	t.Helper()
	target, err := neturl.Parse(strings.TrimSuffix(server, "/v1"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	answer := ""
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode < 300 || r.Request.URL.Path == "/v1" { // they ask whether a server is there
				return nil
			}
			data, err := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(data))
			mu.Lock()
			defer mu.Unlock()
			answer = r.Status + " " + string(data)
			return err
		},
	}
	between := httptest.NewServer(proxy)
	t.Cleanup(between.Close)
	return between.URL + "/v1", func() string {
		mu.Lock()
		defer mu.Unlock()
		return answer
	}
}

func runOne(t *testing.T, program, dir, name string, refused []string) {
	url, last := recorded(t, start(t))
	command := exec.CommandContext(t.Context(), program, "-test.v", "-test.run", "^"+name+"$")
	command.Dir = dir
	command.Env = append(os.Environ(), "TEST_API_BASE_URL="+url)
	out, err := command.CombinedOutput()
	if passed := err == nil && strings.Contains(string(out), "--- PASS: "+name); passed != (refused == nil) {
		t.Errorf("passed: %v\n%s", passed, out)
	}
	for _, part := range refused {
		if !strings.Contains(last(), part) {
			t.Errorf("the answer is not %s but %s", part, last())
		}
	}
}
