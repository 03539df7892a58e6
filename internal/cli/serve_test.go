package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
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
		{[]string{"--drain", "soon"}, exitUsage, "drain"},
	} {
		code, _, errOut := run(t, "", append([]string{"serve"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, errOut, c.code, c.want)
		}
	}
}
