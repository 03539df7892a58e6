package load_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causerie/bench/load"
	"causerie/internal/cli"
)

// serverVariable makes the test binary the program, to be put under load.
const serverVariable = "CAUSERIE_LOAD_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		code := cli.Main(ctx, os.Args[1:], cli.IO{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		stop()
		os.Exit(code)
	}
	goleak.VerifyTestMain(m)
}

// self is this program's command line.
func self(t *testing.T) []string {
	t.Helper()
	t.Setenv(serverVariable, "1")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{program, "serve"}
}

// hold puts this program's own server under load and wants it to hold.
func hold(t *testing.T, o load.Options) *load.Report {
	t.Helper()
	o.Self, o.Flags = self(t), []string{"--dtype", "int8"}
	report, err := load.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", &table)
	if !report.Passed() {
		t.Error("the server did not hold")
	}
	return report
}

// TestServerHolds is the load test itself, short: every kind of client at once.
func TestServerHolds(t *testing.T) {
	r := hold(t, load.Options{Clients: 100, Idle: 500, Slow: 5, Tokens: 8, Duration: 3 * time.Second})
	q := r.Requests
	if q.Refused == 0 || q.Replies < 20 || q.Tokens < 8*q.Replies*9/10 || q.IdleAlive != q.IdleAsked || q.IdleAsked < 100 || q.SlowBytes < 5 {
		t.Errorf("%+v", q)
	}
	if r.Server.PerIdle > 64<<10 {
		t.Errorf("an idle connection takes %d bytes", r.Server.PerIdle)
	}
	if len(r.Server.Samples) < 2 || r.Server.Samples[0].Goroutines < 600 || r.Latency.FirstToken.P50 <= 0 || r.Fairness.Jain == 0 {
		t.Errorf("%+v %+v %+v", r.Server, r.Latency, r.Fairness)
	}
}

// TestServerHoldsThousands is the same in earnest.
func TestServerHoldsThousands(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("set CAUSERIE_LONG=1")
	}
	idle := hold(t, load.Options{Clients: 10, Idle: 10_000, Tokens: 16, Duration: 4 * time.Second})
	if idle.Server.PerIdle > 64<<10 {
		t.Errorf("an idle connection takes %d bytes", idle.Server.PerIdle)
	}
	hold(t, load.Options{Clients: 1000, Tokens: 8, Duration: 15 * time.Second})
	// Shares are judged when there were replies enough for each client.
	fair := hold(t, load.Options{Clients: 150, Tokens: 4, Duration: 12 * time.Second})
	if len(fair.Open) > 1 { // 12 seconds are too short to judge memory by
		t.Errorf("not judged: %q", fair.Open)
	}
}

// TestSlowReadersHarmNobody: others wait no longer for their first tokens when
// many take a byte a second.
func TestSlowReadersHarmNobody(t *testing.T) {
	if os.Getenv("CAUSERIE_LONG") == "" {
		t.Skip("set CAUSERIE_LONG=1")
	}
	alone := hold(t, load.Options{Clients: 4, Tokens: 16, Duration: 4 * time.Second})
	beside := hold(t, load.Options{Clients: 4, Slow: 60, Tokens: 16, Duration: 8 * time.Second})
	if a, b := alone.Requests.PerSec, beside.Requests.PerSec; b < a/2 {
		t.Errorf("%.0f replies a second alone, %.0f beside slow readers", a, b)
	}
	if beside.Requests.Refused > 0 || beside.Requests.SlowBytes < 60 {
		t.Errorf("%+v", beside.Requests)
	}
}

// fake answers like a server, with what answer decides for each request.
func fake(t *testing.T, answer func(n int64, w http.ResponseWriter, r *http.Request)) string {
	t.Helper()
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"data":[{"id":"m"}]}`)
	})
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice that its client leaves
		answer(asked.Add(1), w, r)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func good(w http.ResponseWriter) {
	time.Sleep(5 * time.Millisecond)
	quick(w)
}

func quick(w http.ResponseWriter) {
	fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}],\"usage\":{\"completion_tokens\":2}}\n\ndata: [DONE]\n\n")
}

// TestVerdicts: each fault of a server is found and named.
func TestVerdicts(t *testing.T) {
	var seen sync.Map // the number of each connection's first request
	for name, c := range map[string]struct {
		answer func(n int64, w http.ResponseWriter, r *http.Request)
		want   string // in a failure; empty: none
	}{
		"good": {func(_ int64, w http.ResponseWriter, _ *http.Request) { good(w) }, ""},
		"busy": {func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n%5 == 0 {
				w.Header().Set("Retry-After-Ms", "3")
				http.Error(w, "busy", http.StatusTooManyRequests)
				return
			}
			good(w)
		}, ""},
		"errors": {func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n%50 == 0 {
				http.Error(w, `{"error":{"message":"oops"}}`, http.StatusInternalServerError)
				return
			}
			good(w)
		}, "times status 500: oops"},
		"broken off": {func(n int64, w http.ResponseWriter, _ *http.Request) {
			if n%50 == 0 {
				fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n")
				return
			}
			good(w)
		}, "cut off before its end"},
		"unfair": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if number, _ := seen.LoadOrStore(r.RemoteAddr, n); number.(int64) > 6 {
				w.Header().Set("Retry-After-Ms", "200")
				http.Error(w, "busy", http.StatusTooManyRequests)
				return
			}
			quick(w)
		}, "shares are not fair"},
		"silent": {func(n int64, w http.ResponseWriter, r *http.Request) {
			if n == 1 {
				good(w)
				return
			}
			<-r.Context().Done()
		}, "not a single reply"},
	} {
		t.Run(name, func(t *testing.T) {
			o := load.Options{URL: fake(t, c.answer), Clients: 12, Duration: 600 * time.Millisecond, Drain: 100 * time.Millisecond, Idle: 3}
			report, err := load.Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			failures := strings.Join(report.Failures, "\n")
			if (c.want == "") != report.Passed() || !strings.Contains(failures, c.want) {
				t.Errorf("failures %q, want %q", failures, c.want)
			}
			if name == "busy" && report.Requests.Refused == 0 {
				t.Error("being refused was not counted")
			}
			if report.Server.Unknown == "" || len(report.Open) == 0 {
				t.Error("without /metrics memory cannot be judged, and the report must say so")
			}
			if data, err := json.Marshal(report); err != nil || !bytes.Contains(data, []byte(load.Schema)) {
				t.Errorf("%s, %v", data, err)
			}
			if sum := report.Fairness.Jain; name == "good" && math.Abs(sum-1) > 0.1 {
				t.Errorf("Jain's index %f", sum)
			}
		})
	}
}

func TestRunErrors(t *testing.T) {
	for want, o := range map[string]load.Options{
		"no server":                  {},
		"number of clients":          {URL: "http://127.0.0.1:1", Clients: -1},
		"connections in all":         {URL: "http://127.0.0.1:1", Clients: 40_000, Idle: 20_000},
		"negative":                   {URL: "http://127.0.0.1:1", Duration: -1},
		"http://127.0.0.1:1":         {URL: "http://127.0.0.1:1", Clients: 1},
		"not of the form":            {URL: "nowhere", Clients: 1},
		"no model":                   {Self: self(t), Flags: []string{"--model", "/nowhere"}, Clients: 1},
		"may open only|connections ": {URL: "http://127.0.0.1:1", Clients: 1, Idle: 49_000},
	} {
		_, err := load.Run(t.Context(), o)
		first, other, _ := strings.Cut(want, "|")
		if err == nil || !strings.Contains(err.Error(), first) && (other == "" || !strings.Contains(err.Error(), other)) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

// TestInterrupted: the report has what was measured until then.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	url := fake(t, func(_ int64, w http.ResponseWriter, _ *http.Request) { good(w) })
	start := time.Now()
	report, err := load.Run(ctx, load.Options{URL: url, Clients: 3, Duration: time.Minute})
	if err == nil || report == nil || report.Requests.Replies == 0 || time.Since(start) > 10*time.Second || report.Seconds > 10 {
		t.Errorf("%+v, %v", report, err)
	}
}
