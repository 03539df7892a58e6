package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	code, secret, notice := run(t, "", "keys", "create", "--data", data, "--name", "laptop", "--scope", "embed,chat,chat")
	secret = strings.TrimSpace(secret)
	if code != exitOK || !strings.HasPrefix(secret, "sk-causerie-") || !strings.Contains(notice, "chat, embed") {
		t.Fatalf("exit code %d, %q, %q", code, secret, notice)
	}
	code, list, _ := run(t, "", "keys", "list", "--data", data)
	if code != exitOK || !strings.Contains(list, "laptop") || !strings.Contains(list, "chat,embed") || strings.Contains(list, secret) {
		t.Errorf("exit code %d, %q", code, list)
	}
	id := "key_" + strings.Fields(strings.SplitAfter(list, "key_")[1])[0]

	url, stop := startServe(t, "--model", modelFolder(t), "--data", data, "--auth")
	get(t, url+"/readyz")
	ask := func(key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/v1/models", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := ask(secret); status != http.StatusOK {
		t.Errorf("with the key: %d", status)
	}
	if status := ask("none"); status != http.StatusUnauthorized {
		t.Errorf("without: %d", status)
	}
	if code, _, notice := run(t, "", "keys", "revoke", "--data", data, id); code != exitOK || !strings.Contains(notice, "revoked") {
		t.Errorf("exit code %d, %q", code, notice)
	}
	if status := ask(secret); status != http.StatusUnauthorized {
		t.Errorf("the running server still takes a revoked key: %d", status)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, list, _ := run(t, "", "keys", "list", "--data", data); strings.Contains(list, " -\n") {
		t.Errorf("the list does not show the revocation: %s", list)
	}
}

func TestKeysRefuses(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"create"}, exitUsage, "--data"},
		{[]string{"create", "--data", data, "--scope", "everything"}, exitUsage, "scope"},
		{[]string{"create", "--data", data, "--name", "a\nb"}, exitUsage, "--name"},
		{[]string{"revoke", "--data", data, "key_none"}, exitFailure, "no key key_none"},
		{[]string{"list", "--data", file}, exitFailure, "data folder"},
	} {
		code, _, errOut := run(t, "", append([]string{"keys"}, c.args...)...)
		if code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%q: exit code %d, %q; want %d and %q", c.args, code, errOut, c.code, c.want)
		}
	}
}

// TestServeKeepsOthersOut: nothing but keys or a word aloud opens the server to
// other machines, and web pages cannot reach it under names of theirs.
func TestServeKeepsOthersOut(t *testing.T) {
	for _, address := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.org:80"} {
		code, _, errOut := run(t, "", "serve", "--listen", address)
		if code != exitUsage || !strings.Contains(errOut, "--no-auth") {
			t.Errorf("%s: exit code %d, %q", address, code, errOut)
		}
	}
	for _, args := range [][]string{{"--auth"}, {"--tls-cert", "x.pem"}, {"--tls-key", "x.pem"}} {
		if code, _, errOut := run(t, "", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...); code != exitUsage || !strings.Contains(errOut, "--") {
			t.Errorf("%q: exit code %d, %q", args, code, errOut)
		}
	}
	for _, args := range [][]string{{"--tls-cert", "none.pem", "--tls-key", "none.pem"}, {"--cors-origin", "example.org"}, {"--timeout=-1s"}, {"--requests-per-minute=-1"}} {
		if code, _, errOut := run(t, "", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...); code != exitFailure {
			t.Errorf("%q: exit code %d, %q", args, code, errOut)
		}
	}
	url, stop := startServe(t, "--model", modelFolder(t))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a request for another's name: %d", resp.StatusCode)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestServeRemembers: what is stored in a data folder outlives the server.
func TestServeRemembers(t *testing.T) {
	data := t.TempDir()
	url, stop := startServe(t, "--model", modelFolder(t), "--data", data)
	get(t, url+"/readyz")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/chat/completions",
		strings.NewReader(`{"messages":[{"role":"user","content":"hello"}],"store":true,"metadata":{"a":"b"}}`))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if code := stop(); code != exitOK || resp.StatusCode != http.StatusOK {
		t.Fatalf("exit code %d, status %d", code, resp.StatusCode)
	}
	url, stop = startServe(t, "--model", modelFolder(t), "--data", data)
	if list := get(t, url+"/v1/chat/completions"); !strings.Contains(list, `"metadata":{"a":"b"}`) {
		t.Errorf("after a restart: %s", list)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
