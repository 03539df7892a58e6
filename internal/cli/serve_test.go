package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"causerie/internal/telemetry/otlptest"
	"causerie/models/hf"
	"causerie/models/lora"
)

// startServe runs `causerie serve` and returns its address, and a function
// that stops it and returns the exit code.
func startServe(t *testing.T, args ...string) (url string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	logs, w := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- Main(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...),
			IO{In: strings.NewReader(""), Out: io.Discard, Err: w})
		w.Close()
	}()
	address := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			var line struct{ Message, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Message == "listening" {
				address <- line.Address
			}
		}
	}()
	select {
	case a := <-address:
		return "http://" + a, func() int {
			cancel()
			return <-code
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the server does not listen")
		return "", nil
	}
}

// get waits until path answers 200 and returns the body.
func get(t *testing.T, url string) string {
	t.Helper()
	for range 200 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode == http.StatusOK {
			return string(body)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s is never ready", url)
	return ""
}

func TestServe(t *testing.T) {
	url, stop := startServe(t, "--model", modelFolder(t))
	get(t, url+"/readyz")
	if body := get(t, url+"/v1/models"); !strings.Contains(body, `"id":"model"`) {
		t.Errorf("models: %s", body)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions",
		strings.NewReader(`{"model":"model","messages":[{"role":"user","content":"hello"}],"stream":true}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || !strings.HasSuffix(string(body), "data: [DONE]\n\n") {
		t.Errorf("stream %q: %v", body, err)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestServeAdapters serves two adapters beside their base.
func TestServeAdapters(t *testing.T) {
	model := modelFolder(t)
	one, two := adapterFolder(t, model, 1), adapterFolder(t, model, 2)
	url, stop := startServe(t, "--model", model, "--adapter", "one="+one, "--adapter", "two="+two)
	get(t, url+"/readyz")
	replies := map[string]bool{}
	for _, id := range []string{"model", "one", "two"} {
		if body := get(t, url+"/v1/models/"+id); !strings.Contains(body, `"id":"`+id+`"`) {
			t.Errorf("%s: %s", id, body)
		}
		status, body := post(t, url+"/v1/chat/completions", `{"model":"`+id+`","messages":[{"role":"user","content":"hello"}],"temperature":0,"max_tokens":12}`)
		var reply struct {
			Choices []struct{ Message struct{ Content string } }
		}
		if err := json.Unmarshal(body, &reply); err != nil || status != http.StatusOK || len(reply.Choices) != 1 {
			t.Fatalf("%s: %d %s", id, status, body)
		}
		replies[reply.Choices[0].Message.Content] = true
	}
	if len(replies) != 3 {
		t.Errorf("three models reply %v", replies)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, c := range []struct {
		adapter, want string
		code          int
	}{
		{one, "expected NAME=DIR", exitUsage},
		{"=" + one, "expected NAME=DIR", exitUsage},
		{"a=nowhere", "adapter nowhere", exitFailure},
		{"a=" + model, "adapter_config.json", exitFailure},
		{"model=" + one, `two models called "model"`, exitFailure},
		{"a/b=" + one, `cannot be called "a/b"`, exitFailure},
	} {
		code, _, errOut := run(t, "", "serve", "--listen", "127.0.0.1:0", "--model", model, "--adapter", c.adapter)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.adapter, code, errOut, c.code, c.want)
		}
	}
}

// adapterFolder is an adapter of a model's folder, with random factors.
func adapterFolder(t *testing.T, model string, seed uint64) string {
	t.Helper()
	folder, err := hf.OpenDir(model)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	a, err := lora.New(folder.Config.Model, lora.Config{Rank: 2, Targets: []string{lora.AllLinear}}, seed)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, p := range a.Params() {
		for i := range p.Data {
			p.Data[i] += float32(r.NormFloat64()) / 2
		}
	}
	dir := filepath.Join(t.TempDir(), "adapter")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestServeTraces sends its traces to a collector, the last ones before it ends.
func TestServeTraces(t *testing.T) {
	collector := otlptest.New(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	url, stop := startServe(t, "--model", modelFolder(t))
	get(t, url+"/readyz")
	if status, body := post(t, url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hello"}]}`); status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if from := collector.Resource(); from["service.name"] != "causerie" || from["service.version"] != version() {
		t.Errorf("from %v", from)
	}
	names := map[string]int{}
	for _, s := range collector.Spans() {
		names[s.Name]++
		if a := otlptest.Attributes(s.Attributes); s.Name == "POST /v1/chat/completions" && (a["http.route"] != "/v1/chat/completions" || a["gen_ai.request.model"] != "model") {
			t.Errorf("%v", a)
		}
	}
	for _, name := range []string{"POST /v1/chat/completions", "queue", "prefill", "decode"} {
		if names[name] != 1 {
			t.Errorf("%d spans called %q among %v", names[name], name, names)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--listen", "127.0.0.1:0", "--model", filepath.Join(t.TempDir(), "none")}, exitFailure, "no model"},
		{[]string{"--listen", "nowhere"}, exitFailure, "listening on nowhere"},
		{[]string{"--listen", "127.0.0.1:0", "--slots=-1", "--model", modelFolder(t)}, exitFailure, "max_sequences"},
		{[]string{"--listen", "127.0.0.1:0", "--kv-memory=-1", "--model", modelFolder(t)}, exitFailure, "kv_bytes"},
		{[]string{"--otlp-endpoint", "127.0.0.1:4318", "--model", modelFolder(t)}, exitFailure, "is not an address such as"},
		{[]string{"--drain", "soon"}, exitUsage, "drain"},
	} {
		code, _, errOut := run(t, "", append([]string{"serve"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, errOut, c.code, c.want)
		}
	}
}

// post sends a body of JSON and returns status and answer.
func post(t *testing.T, url, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, data
}

// TestServeEncoders serves a sentence encoder beside a model, and alone.
func TestServeEncoders(t *testing.T) {
	url, stop := startServe(t, "--model", modelFolder(t), "--embedding-model", encoderFolder, "--embedding-dtype", "int8", "--truncate")
	get(t, url+"/readyz")
	if body := get(t, url+"/v1/models"); !strings.Contains(body, `"id":"model"`) || !strings.Contains(body, `"id":"mean"`) {
		t.Errorf("models: %s", body)
	}
	long := strings.Repeat("cat ", 20)
	if status, body := post(t, url+"/v1/embeddings", `{"model":"mean","input":"`+long+`"}`); status != http.StatusOK || !strings.Contains(string(body), `"total_tokens":16`) {
		t.Errorf("a long text: %d %s", status, body)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	url, stop = startServe(t, "--model", encoderFolder)
	get(t, url+"/readyz")
	if status, body := post(t, url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"hello"}]}`); status != http.StatusBadRequest || !strings.Contains(string(body), "only embeds") {
		t.Errorf("chatting with an encoder: %d %s", status, body)
	}
	if status, body := post(t, url+"/v1/embeddings", `{"input":"`+long+`"}`); status != http.StatusBadRequest || !strings.Contains(string(body), "context_length_exceeded") {
		t.Errorf("a long text without --truncate: %d %s", status, body)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--model", encoderFolder, "--adapter", "a=b"}, exitUsage, "is a sentence encoder, which has none"},
		{[]string{"--model", modelFolder(t), "--embedding-model", "nowhere"}, exitFailure, "nowhere: no such file"},
		{[]string{"--model", modelFolder(t), "--embedding-model", modelFolder(t)}, exitFailure, `of encoders only bert is supported`},
		{[]string{"--model", encoderFolder, "--embedding-model", encoderFolder}, exitFailure, `two models called "mean"`},
	} {
		code, _, errOut := run(t, "", append([]string{"serve", "--listen", "127.0.0.1:0"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, errOut, c.code, c.want)
		}
	}
}
