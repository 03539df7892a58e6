package api

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/rs/zerolog"

	"causerie/api/store"
	"causerie/pipeline"
)

// withOptions is withEngine for a server with other options than the default.
func withOptions(t *testing.T, set func(*Options)) *fixture {
	t.Helper()
	f := withEngine(t)
	o := f.options
	set(&o)
	server, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := server.SetModel(*f.catalog.first()); err != nil {
		t.Fatal(err)
	}
	f.Server = server
	f.http.Config.Handler = checked(t, f.Handler())
	return f
}

// request sends a request with headers, given as names and values in turn.
func (f *fixture) request(t *testing.T, method, path, body string, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, f.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
	}
	resp, err := f.http.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, data
}

// newKey makes an API key in the fixture's store.
func (f *fixture) newKey(t *testing.T, owner string, scopes ...string) (store.Key, string) {
	t.Helper()
	k, secret, err := f.options.Store.AddKey(t.Context(), "test", owner, scopes)
	if err != nil {
		t.Fatal(err)
	}
	return k, secret
}

const hi = `{"messages":[{"role":"user","content":"hi"}],"max_tokens":2}`

func TestKeysAreAskedFor(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.Auth = true })
	k, secret := f.newKey(t, "", ScopeChat)
	for name, header := range map[string]string{
		"none": "", "empty": "Bearer ", "another scheme": "Basic " + secret, "no scheme": secret, "wrong": "Bearer sk-causerie-wrong",
		"nearly": "Bearer " + secret[:len(secret)-1], "injection": `Bearer ' OR 1=1 --`,
	} {
		status, h, data := f.request(t, http.MethodPost, "/v1/chat/completions", hi, "Authorization", header)
		if e := errorOf(t, data); status != http.StatusUnauthorized || *e.Code != "invalid_api_key" || h.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: %d %s", name, status, data)
		}
	}
	if status, _, data := f.request(t, http.MethodPost, "/v1/chat/completions", hi, "Authorization", "Bearer "+secret); status != http.StatusOK {
		t.Errorf("the right key: %d %s", status, data)
	}
	// Every route of the API asks; those about the server itself do not.
	for _, c := range []struct {
		path   string
		status int
	}{
		{"/v1/models", 401}, {"/v1/chat/completions", 401}, {"/v1/conversations/x", 401}, {"/v1/nothing", 401}, {"/metrics", 401},
		{"/healthz", 200}, {"/readyz", 200}, {"/openapi.json", 200}, {"/docs", 200},
	} {
		if status, _, _ := f.request(t, http.MethodGet, c.path, ""); status != c.status {
			t.Errorf("%s without a key: %d, want %d", c.path, status, c.status)
		}
	}
	if err := f.options.Store.RevokeKey(t.Context(), k.ID); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := f.request(t, http.MethodPost, "/v1/chat/completions", hi, "Authorization", "Bearer "+secret); status != http.StatusUnauthorized {
		t.Errorf("a revoked key: %d", status)
	}
	if strings.Contains(f.log.String(), secret) || !strings.Contains(f.log.String(), k.ID) {
		t.Error("the log must name the key and not its secret")
	}
}

func TestScopes(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.Auth = true })
	for _, c := range []struct {
		method, path, body string
		allowed            string // scopes that may
	}{
		{http.MethodPost, "/v1/chat/completions", hi, "chat admin"},
		{http.MethodPost, "/v1/completions", `{"prompt":"a"}`, "chat admin"},
		{http.MethodGet, "/v1/chat/completions", "", "chat admin"},
		{http.MethodPost, "/v1/conversations", "{}", "chat admin"},
		{http.MethodPost, "/v1/embeddings", `{"input":"a"}`, "embed admin"},
		{http.MethodPost, "/v1/moderations", `{"input":"a"}`, "chat embed finetune admin"},
		{http.MethodPost, "/v1/tokenize", `{"prompt":"a"}`, "chat embed finetune admin"},
		{http.MethodGet, "/v1/models", "", "chat embed finetune admin"},
		{http.MethodGet, "/metrics", "", "admin"},
	} {
		for _, scope := range Scopes {
			_, secret := f.newKey(t, "", scope)
			status, _, data := f.request(t, c.method, c.path, c.body, "Authorization", "Bearer "+secret)
			want := http.StatusForbidden
			if strings.Contains(c.allowed, scope) {
				want = http.StatusOK
			}
			if status != want {
				t.Errorf("%s %s with a key for %s: %d, want %d: %.200s", c.method, c.path, scope, status, want, data)
			}
		}
	}
}

// TestOwnersSeeTheirOwn: what one key stores, another cannot see, change or go
// on with; a second key of the same owner can.
func TestOwnersSeeTheirOwn(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.Auth = true })
	_, mine := f.newKey(t, "ann", ScopeChat)
	_, also := f.newKey(t, "ann", ScopeChat)
	_, other := f.newKey(t, "bob", ScopeChat)
	var made struct{ ID string }
	post := func(path, body string) string {
		t.Helper()
		status, _, data := f.request(t, http.MethodPost, path, body, "Authorization", "Bearer "+mine)
		if err := json.Unmarshal(data, &made); err != nil || status != http.StatusOK {
			t.Fatalf("%d %s", status, data)
		}
		return made.ID
	}
	conversation := post("/v1/conversations", `{"items":[{"role":"user","content":"my secret"}]}`)
	completion := post("/v1/chat/completions", `{"messages":[{"role":"user","content":"my secret"}],"store":true,"max_tokens":2}`)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/chat/completions/" + completion, ""},
		{http.MethodGet, "/v1/chat/completions/" + completion + "/messages", ""},
		{http.MethodPost, "/v1/chat/completions/" + completion, `{"metadata":{"a":"b"}}`},
		{http.MethodGet, "/v1/conversations/" + conversation, ""},
		{http.MethodGet, "/v1/conversations/" + conversation + "/items", ""},
		{http.MethodPost, "/v1/conversations/" + conversation, `{"metadata":{"a":"b"}}`},
		{http.MethodPost, "/v1/conversations/" + conversation + "/items", `{"items":[{"role":"user","content":"x"}]}`},
		{http.MethodPost, "/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}],"conversation":"` + conversation + `","max_tokens":2}`},
		{http.MethodDelete, "/v1/chat/completions/" + completion, ""},
		{http.MethodDelete, "/v1/conversations/" + conversation, ""},
	} {
		if status, _, data := f.request(t, c.method, c.path, c.body, "Authorization", "Bearer "+other); status != http.StatusNotFound || strings.Contains(string(data), "secret") {
			t.Errorf("%s %s by another: %d %s", c.method, c.path, status, data)
		}
		if status, _, data := f.request(t, c.method, c.path, c.body, "Authorization", "Bearer "+also); status != http.StatusOK {
			t.Errorf("%s %s by the owner: %d %s", c.method, c.path, status, data)
		}
	}
	_, _, data := f.request(t, http.MethodGet, "/v1/chat/completions", "", "Authorization", "Bearer "+other)
	if strings.Contains(string(data), completion) {
		t.Errorf("another's list shows it: %s", data)
	}
}

func TestRequestLimit(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.RequestsPerMinute, o.Auth = 3, true })
	_, mine := f.newKey(t, "ann", ScopeChat)
	_, also := f.newKey(t, "ann", ScopeChat)
	_, other := f.newKey(t, "bob", ScopeChat)
	for i, want := range []struct {
		key    string
		status int
		left   string
	}{{mine, 200, "2"}, {also, 200, "1"}, {mine, 200, "0"}, {also, 429, "0"}, {other, 200, "2"}} {
		status, h, data := f.request(t, http.MethodGet, "/v1/models", "", "Authorization", "Bearer "+want.key)
		if status != want.status || h.Get("X-Ratelimit-Remaining-Requests") != want.left || h.Get("X-Ratelimit-Limit-Requests") != "3" {
			t.Errorf("request %d: %d %s: %v", i, status, data, h)
		}
		reset, err := time.ParseDuration(h.Get("X-Ratelimit-Reset-Requests"))
		if err != nil || reset <= 0 || reset > time.Minute {
			t.Errorf("request %d: reset %q", i, h.Get("X-Ratelimit-Reset-Requests"))
		}
		if status != http.StatusTooManyRequests {
			continue
		}
		if e := errorOf(t, data); e.Type != "rate_limit_error" || *e.Code != "rate_limit_exceeded" {
			t.Errorf("%s", data)
		}
		wait, err := strconv.Atoi(h.Get("Retry-After-Ms"))
		if err != nil || wait < 15_000 || wait > 20_000 || h.Get("Retry-After") != "20" { // three a minute are one in 20 seconds
			t.Errorf("Retry-After-Ms %q, Retry-After %q", h.Get("Retry-After-Ms"), h.Get("Retry-After"))
		}
	}
}

func TestTokenBudget(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.TokensPerMinute = 10 })
	body := `{"messages":[{"role":"user","content":"hello"}],"max_tokens":20,"ignore_eos":true}`
	status, h, data := f.post(t, body)
	if status != http.StatusOK || h.Get("X-Ratelimit-Remaining-Tokens") != "10" {
		t.Fatalf("%d %v %s", status, h, data)
	}
	// The reply is known to the client before it is booked.
	deadline := time.Now().Add(5 * time.Second)
	for status = http.StatusOK; status == http.StatusOK && time.Now().Before(deadline); {
		status, h, data = f.post(t, body)
	}
	if status != http.StatusTooManyRequests || h.Get("X-Ratelimit-Remaining-Tokens") != "0" {
		t.Fatalf("%d %v %s", status, h, data)
	}
	wait, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || wait < 60 { // over 20 tokens were used of 10
		t.Errorf("Retry-After %q", h.Get("Retry-After"))
	}
}

func TestBudgetsForgetTheIdle(t *testing.T) {
	b := budgets{requests: 1000}
	for i := range maxClients + 5 {
		b.of(fmt.Sprint(i))
	}
	if len(b.clients) > maxClients {
		t.Errorf("%d clients are remembered", len(b.clients))
	}
}

// TestPagesOfOthers: a web page of another origin may neither read answers nor
// make the server work, unless it is allowed to.
func TestPagesOfOthers(t *testing.T) {
	closed := withOptions(t, func(*Options) {})
	some := withOptions(t, func(o *Options) { o.Origins = []string{"https://chat.example"} })
	anybody := withOptions(t, func(o *Options) { o.Origins = []string{"*"} })
	for _, c := range []struct {
		name, origin, site string
		f                  *fixture
		status             int
		allow              string
	}{
		{"no page", "", "", closed, 200, ""},
		{"a page of another origin", "https://evil.example", "cross-site", closed, 403, ""},
		{"an old browser", "https://evil.example", "", closed, 403, ""},
		{"a page of this server", "http://127.0.0.1", "same-origin", closed, 200, ""},
		{"an allowed page", "https://chat.example", "cross-site", some, 200, "https://chat.example"},
		{"a page that is not allowed", "https://evil.example", "cross-site", some, 403, ""},
		{"any page", "https://evil.example", "cross-site", anybody, 200, "*"},
	} {
		headers := []string{"Content-Type", "text/plain"} // what a page may send without asking
		if c.origin != "" {
			headers = append(headers, "Origin", c.origin)
		}
		if c.site != "" {
			headers = append(headers, "Sec-Fetch-Site", c.site)
		}
		status, h, data := c.f.request(t, http.MethodPost, "/v1/chat/completions", hi, headers...)
		if status != c.status || h.Get("Access-Control-Allow-Origin") != c.allow {
			t.Errorf("%s: %d, allows %q: %.100s", c.name, status, h.Get("Access-Control-Allow-Origin"), data)
		}
	}
	// The question a browser asks before it sends a key.
	status, h, _ := some.request(t, http.MethodOptions, "/v1/chat/completions", "", "Origin", "https://chat.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type,x-stainless-os")
	if status != http.StatusOK || h.Get("Access-Control-Allow-Headers") == "" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "POST") {
		t.Errorf("preflight: %d %v", status, h)
	}
	if _, err := New(Options{Origins: []string{"chat.example"}}); err == nil {
		t.Error("an origin without a scheme was accepted")
	}
}

// TestNamesOfOthers: a name that leads here by somebody else's doing.
func TestNamesOfOthers(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.Hosts = []string{"localhost", "127.0.0.1", "::1"} })
	for host, want := range map[string]int{
		"localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:1": 200, "[::1]:8080": 200, "evil.example": 403, "evil.example:8080": 403, "localhost.evil.example": 403,
	} {
		status, _, data := f.request(t, http.MethodGet, "/v1/models", "", "Host", host)
		if status != want {
			t.Errorf("%s: %d %s", host, status, data)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	f := withEngine(t)
	for _, path := range []string{"/v1/models", "/docs", "/nothing", "/metrics"} {
		_, h, _ := f.request(t, http.MethodGet, path, "")
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
		} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Server") != "" {
			t.Errorf("%s: %v", path, h)
		}
	}
}

func TestTimeLimit(t *testing.T) {
	f := newFixture(t, nil)
	server, err := New(Options{Log: zerolog.Nop(), Timeout: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	server.SetModel(Model{ID: "tiny", Chatter: chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, _ func(pipeline.Piece) error) (pipeline.Reply, error) {
		<-ctx.Done()
		return pipeline.Reply{}, ctx.Err()
	})})
	f.http.Config.Handler = server.Handler()
	status, _, data := f.post(t, hi)
	if e := errorOf(t, data); status != http.StatusGatewayTimeout || *e.Code != "timeout" {
		t.Errorf("%d %s", status, data)
	}
}

// TestSlowSenders: neither a header nor a body that never ends holds anything
// but its own connection.
func TestSlowSenders(t *testing.T) {
	url, stop := serve(t, Options{Log: zerolog.Nop(), Drain: 200 * time.Millisecond}, chatterFunc(func(context.Context, pipeline.ChatRequest, func(pipeline.Piece) error) (pipeline.Reply, error) {
		return pipeline.Reply{Text: "fine", FinishReason: pipeline.FinishStop}, nil
	}))
	address := strings.TrimPrefix(url, "http://")
	for _, start := range []string{
		"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nX-Long: ",
		"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{",
	} {
		for range 20 {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, start); err != nil {
				t.Fatal(err)
			}
		}
	}
	begun := time.Now()
	if got := <-ask(t, url); !strings.Contains(got, "fine") || time.Since(begun) > 5*time.Second {
		t.Errorf("beside slow senders: %q after %s", got, time.Since(begun))
	}
	// A header beyond the limit is refused, not read.
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: "+strings.Repeat("x", 200<<10))
	}()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(line, "431") {
		t.Errorf("a header of 200 KiB: %q, %v", line, err)
	}
	conn.Close()
	done := make(chan error, 1)
	go func() { done <- stop() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("slow senders keep the server from stopping")
	}
}

// TestSlowReaders: a client that does not read its stream loses it, and the
// reply ends.
func TestSlowReaders(t *testing.T) {
	ended := make(chan error, 1)
	s, err := New(Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s.writeTime = 200 * time.Millisecond
	s.SetModel(Model{ID: "tiny", Chatter: chatterFunc(func(ctx context.Context, _ pipeline.ChatRequest, emit func(pipeline.Piece) error) (pipeline.Reply, error) {
		long := pipeline.Piece{Text: strings.Repeat("la ", 10_000)}
		for range 10_000 { // more than any buffer on the way holds
			if err := emit(long); err != nil {
				ended <- err
				return pipeline.Reply{}, err
			}
		}
		ended <- nil
		return pipeline.Reply{}, nil
	})})
	server := httptest.NewServer(s.Handler())
	defer server.Close()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"messages":[{"role":"user","content":"sing"}],"stream":true}`
	if _, err := fmt.Fprintf(conn, "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the reply ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the reply waits for a client that does not read")
	}
}

func TestTLS(t *testing.T) {
	certificate, pool := selfSigned(t)
	s, err := New(Options{Log: zerolog.Nop(), TLS: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, listener) }()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+listener.Addr().String()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Strict-Transport-Security") == "" {
		t.Errorf("%s %s %v", resp.Status, resp.Proto, resp.Header)
	}
	old := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // to be refused
	if conn, err := tls.Dial("tcp", listener.Addr().String(), old); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was accepted")
	}
	transport.CloseIdleConnections()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestSDKWithKeys: what the official client makes of keys and limits.
func TestSDKWithKeys(t *testing.T) {
	f := withOptions(t, func(o *Options) { o.Auth, o.RequestsPerMinute = true, 2 })
	_, secret := f.newKey(t, "", ScopeChat)
	wrong := f.sdk(option.WithAPIKey("sk-wrong"))
	_, err := wrong.Models.List(t.Context())
	wantSDKError(t, err, http.StatusUnauthorized, "invalid_api_key", "")
	client := f.sdk(option.WithAPIKey(secret))
	_, err = client.Embeddings.New(t.Context(), openai.EmbeddingNewParams{Model: "tiny", Input: openai.EmbeddingNewParamsInputUnion{OfString: openai.String("a")}})
	wantSDKError(t, err, http.StatusForbidden, "insufficient_scope", "")
	if _, err = client.Models.List(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = client.Models.List(t.Context())
	wantSDKError(t, err, http.StatusTooManyRequests, "rate_limit_exceeded", "")
}

func TestMetrics(t *testing.T) {
	f := withEngine(t)
	e := f.catalog.first().Tokenizer.Encode(nil, "e")[0] // a reply of text, not of broken bytes
	f.post(t, fmt.Sprintf(`{"messages":[{"role":"user","content":"hello"}],"max_tokens":5,"logit_bias":{"%d":100},"stream":true}`, e))
	f.post(t, `{"messages":[]}`)
	for i := range 50 {
		f.do(t, http.MethodGet, fmt.Sprintf("/nothing/%d", i), "")
	}
	wants := []string{
		`causerie_requests_total{method="POST",route="/v1/chat/completions",status="200"} 1`,
		`causerie_requests_total{method="POST",route="/v1/chat/completions",status="400"} 1`,
		`causerie_requests_total{method="any",route="none",status="404"} 50`,
		`causerie_tokens_total{key="",kind="completion",model="tiny"} 5`,
		`causerie_time_to_first_token_seconds_count{model="tiny"} 1`,
		`causerie_time_per_output_token_seconds_count{model="tiny"} 1`,
		`go_goroutines`,
	}
	var page string
	for range 100 { // a request is counted when its answer is out
		_, _, data := f.do(t, http.MethodGet, "/metrics", "")
		page = string(data)
		if strings.Contains(page, wants[0]) && strings.Contains(page, wants[2]) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	for _, want := range wants {
		if !strings.Contains(page, want) {
			t.Errorf("the figures lack %s", want)
		}
	}
	if n := strings.Count(page, "causerie_requests_total{"); n > 5 {
		t.Errorf("%d series of requests: paths that are none must be one", n)
	}
}

// TestEveryThreatHasItsTest reads the table of SECURITY.md: the tests that it
// names must be there.
func TestEveryThreatHasItsTest(t *testing.T) {
	text, err := os.ReadFile("../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	var sources strings.Builder
	err = filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		data, err := os.ReadFile(path)
		sources.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(cells[1], "---") || cells[1] == " threat " {
			continue
		}
		lines++
		names := regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z]+)`").FindAllStringSubmatch(cells[3], -1)
		if len(names) == 0 {
			t.Errorf("no test for %s", cells[1])
		}
		for _, name := range names {
			if !strings.Contains(sources.String(), "\nfunc "+name[1]+"(") {
				t.Errorf("there is no %s, which is to cover %s", name[1], cells[1])
			}
		}
	}
	if lines < 20 {
		t.Errorf("the table has %d lines", lines)
	}
}
