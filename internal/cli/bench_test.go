package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"causerie/bench"
	"causerie/bench/load"
)

const tinyShape = "32x2x2x300x128"

func TestBenchJSON(t *testing.T) {
	code, out, errOut := run(t, "", "bench", "--shape", tinyShape, "--dtype", "f32,int8", "--only", "decode,prefill", "--streams", "1,2", "--quick", "--time", "200ms", "--json")
	if code != exitOK || errOut != "" {
		t.Fatalf("exit %d, %s", code, errOut)
	}
	var report bench.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatal(err)
	}
	if report.Schema != bench.Schema || report.Version != version() || len(report.Runs) != 2 || report.Runs[1].DType != "int8" {
		t.Errorf("%s", out)
	}
	for _, f := range report.Runs[0].Figures {
		if f.Median <= 0 || f.Limit == nil {
			t.Errorf("%+v", f)
		}
	}
}

func TestBenchTable(t *testing.T) {
	code, out, errOut := run(t, "", "bench", "--model", modelFolder(t), "--only", "decode,prefill,machine", "--quick", "--time", "200ms")
	if code != exitOK || errOut != "" || !strings.Contains(out, "reading memory, 1 thread") || !strings.Contains(out, "tokens/s") || !strings.Contains(out, "prefill_128") || !strings.Contains(out, "the context holds 96 tokens") {
		t.Errorf("exit %d\n%s%s", code, out, errOut)
	}
}

func TestBenchUsage(t *testing.T) {
	for complaint, args := range map[string][]string{
		"--dtype":            {"--dtype", "int4"},
		"nothing is called":  {"--only", "everything"},
		"9M":                 {"--shape", "9M"},
		"--shape and":        {"--shape", "8M", "--model", "x"},
		"number of streams":  {"--streams", "0"},
		"one type of weight": {"--dtype", "f32,int8", "--against", "http://127.0.0.1:1"},
		"not with --shape":   {"--load", "--shape", "8M"},
		"for --load URL":     {"http://127.0.0.1:1"},
		"number of clients":  {"--load", "http://127.0.0.1:1", "--clients=-1"},
	} {
		code, out, errOut := run(t, "", append([]string{"bench"}, args...)...)
		if complaint == "--shape and" { // kong's own words name both flags in either order
			complaint = "can't be used together"
		}
		if code != exitUsage || out != "" || !strings.Contains(errOut, complaint) {
			t.Errorf("%v: exit %d, %q, want %q", args, code, errOut, complaint)
		}
	}
}

func TestBenchNoPeer(t *testing.T) {
	code, out, errOut := run(t, "", "bench", "--shape", tinyShape, "--against", "http://127.0.0.1:1")
	if code != exitFailure || out != "" || !strings.Contains(errOut, "causerie: the other server, http://127.0.0.1:1: ") {
		t.Errorf("exit %d, %q", code, errOut)
	}
}

func TestBenchInterrupted(t *testing.T) {
	var out, errOut strings.Builder
	code := Main(cancelled(t), []string{"bench", "--shape", tinyShape, "--quick", "--only", "decode", "--json"}, IO{In: strings.NewReader(""), Out: &out, Err: &errOut})
	if code != exitInterrupted || !strings.Contains(out.String(), `"interrupted": true`) || !strings.Contains(errOut.String(), "interrupted") {
		t.Errorf("exit %d, %s%s", code, out.String(), errOut.String())
	}
}

// TestBenchChild is what another process asks for.
func TestBenchChild(t *testing.T) {
	job := fmt.Sprintf(`{"model": %q, "dtype": "int8", "threads": 1, "streams": 2}`, modelFolder(t))
	code, out, errOut := run(t, job, "bench", "--child")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != exitOK || len(lines) != 2 || !strings.Contains(lines[0], "load_seconds") {
		t.Errorf("exit %d, %q, %q", code, out, errOut)
	}
	if code, _, errOut := run(t, "{}", "bench", "--child"); code != exitFailure || errOut == "" {
		t.Errorf("an empty job: exit %d, %q", code, errOut)
	}
}

// TestBenchLoad: the verdict is the exit code.
func TestBenchLoad(t *testing.T) {
	url, stop := startServe(t, "--model", modelFolder(t))
	get(t, url+"/readyz")
	code, out, errOut := run(t, "", "bench", "--load", url, "--clients", "3", "--duration", "300ms", "--tokens", "4", "--slow", "1", "--idle", "2")
	if code != exitOK || errOut != "" || !strings.Contains(out, "tokens/s") || !strings.Contains(out, "goroutines") || !strings.HasSuffix(out, "passed\n") {
		t.Errorf("exit %d, %s%s", code, out, errOut)
	}
	var asked atomic.Int64
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost && asked.Add(1) > 1 {
			http.Error(w, "on fire", http.StatusInternalServerError)
			return
		}
		if r.Method == http.MethodGet {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, "data: [DONE]\n\n")
	}))
	defer broken.Close()
	code, out, errOut = run(t, "", "bench", "--load", broken.URL, "--clients", "2", "--duration", "300ms", "--json")
	var report load.Report
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Schema != load.Schema {
		t.Errorf("%v: %s", err, out)
	}
	if code != exitFailure || errOut != "" || report.Passed() || len(report.Requests.Errors) != 1 {
		t.Errorf("exit %d, %s, %s", code, errOut, out)
	}
	if code := stop(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if code, _, errOut := run(t, "", "bench", "--load", url, "--clients", "2"); code != exitFailure || !strings.Contains(errOut, url) {
		t.Errorf("without a server: exit %d, %s", code, errOut)
	}
}
