package cli

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	url, stop := startServe(t, "--model", modelFolder(t))
	get(t, url+"/readyz")
	address := strings.TrimPrefix(url, "http://")
	t.Setenv("CAUSERIE_LISTEN", address)
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"", exitOK, "The server is ready."},
		{"--alive", exitOK, ""},
		{"--host localhost", exitOK, ""},
		{"--host example.org", exitFailure, "403 Forbidden"},
		{"--listen 127.0.0.1:1", exitFailure, "the server does not answer"},
		{"--listen nowhere", exitUsage, "--listen"},
		{"--tls-cert none.pem", exitFailure, "none.pem"},
	} {
		code, out, errOut := run(t, "", append([]string{"health"}, strings.Fields(c.args)...)...)
		if code != c.code || out != "" || !strings.Contains(errOut, c.want) {
			t.Errorf("health %s: exit code %d, %q", c.args, code, errOut)
		}
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code, _, errOut := run(t, "", "health"); code != exitFailure {
		t.Errorf("a server that has ended: exit code %d, %s", code, errOut)
	}
}

// TestHealthLoading asks a server that is alive and not ready.
func TestHealthLoading(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	if code, _, errOut := run(t, "", "health", "--listen", address); code != exitFailure || !strings.Contains(errOut, "not ready: 503") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	if code, _, errOut := run(t, "", "health", "--listen", address, "--alive"); code != exitOK {
		t.Errorf("exit code %d, %s", code, errOut)
	}
}

// TestHealthTLS trusts the server's own certificate alone.
func TestHealthTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	file := func(certificate []byte) string {
		return writeFile(t, t.TempDir(), "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	}
	address := server.Listener.Addr().String()
	if code, _, errOut := run(t, "", "health", "--listen", address, "--tls-cert", file(server.TLS.Certificates[0].Certificate[0])); code != exitOK {
		t.Errorf("exit code %d, %s", code, errOut)
	}
	code, _, errOut := run(t, "", "health", "--listen", address, "--tls-cert", file([]byte("another")))
	if code != exitFailure || !strings.Contains(errOut, "another certificate") {
		t.Errorf("exit code %d, %s", code, errOut)
	}
}
