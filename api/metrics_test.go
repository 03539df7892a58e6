package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetricsLint holds names, units and help texts to Prometheus's rules, once
// every series there can be has been seen.
func TestMetricsLint(t *testing.T) {
	f := withEngine(t)
	f.post(t, `{"messages":[{"role":"user","content":"hello"}],"max_tokens":5,"stream":true}`)
	f.do(t, http.MethodPost, "/v1/embeddings", `{"input":"hello"}`)
	families, err := f.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestEngineMetrics reads the engine's figures, which are not there before it is.
func TestEngineMetrics(t *testing.T) {
	if _, _, page := newFixture(t, nil).do(t, http.MethodGet, "/metrics", ""); strings.Contains(string(page), "causerie_kv") {
		t.Errorf("figures without an engine:\n%s", page)
	}
	f := withEngine(t)
	f.post(t, `{"messages":[{"role":"user","content":"hello"}],"max_tokens":5,"n":3}`)
	stats := f.catalog.first().Stats()
	if stats.GeneratedTokens == 0 || stats.KVUsed == 0 {
		t.Fatalf("%+v", stats)
	}
	wants := []string{
		`causerie_queue_time_seconds_count{model="tiny"} 3`, "causerie_replies_running 0", "causerie_replies_waiting 0",
		"causerie_kv_limit_bytes ", "causerie_kv_used_bytes ", "causerie_kv_cached_bytes ", "causerie_steps_total ",
		"causerie_prefix_tokens_total ", "causerie_prefix_cached_tokens_total ", "causerie_preemptions_total 0",
	}
	for range 100 { // the engine's figures and the request's are there a moment after the answer
		_, _, page := f.do(t, http.MethodGet, "/metrics", "")
		missing := ""
		for _, want := range wants {
			if !strings.Contains(string(page), "\n"+want) {
				missing += want + "\n"
			}
		}
		if missing == "" {
			return
		}
		wants = strings.Split(strings.TrimSpace(missing), "\n")
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the figures lack %q", wants)
}

// TestPprof is not there unless it is wanted, and then for admins only.
func TestPprof(t *testing.T) {
	off := withEngine(t)
	if status, _, data := off.do(t, http.MethodGet, "/debug/pprof/", ""); status != http.StatusNotFound || *errorOf(t, data).Code != "unknown_url" {
		t.Errorf("without --pprof: %d %s", status, data)
	}
	f := withOptions(t, func(o *Options) { o.Auth, o.Pprof = true, true })
	f.http.Config.Handler = f.Handler() // the document has the API, not what debuggers ask for
	_, chat := f.newKey(t, "", ScopeChat, ScopeEmbed, ScopeFinetune)
	_, admin := f.newKey(t, "", ScopeAdmin)
	for _, c := range []struct {
		key, path string
		status    int
		want      string // the body begins with it
	}{
		{"nobody's", "/debug/pprof/", http.StatusUnauthorized, ""},
		{chat, "/debug/pprof/", http.StatusForbidden, ""},
		{chat, "/debug/pprof/heap", http.StatusForbidden, ""},
		{admin, "/debug/pprof/", http.StatusOK, "<html>"},
		{admin, "/debug/pprof/heap", http.StatusOK, "\x1f\x8b"},
		{admin, "/debug/pprof/goroutine?debug=1", http.StatusOK, "goroutine profile: total "},
		{admin, "/debug/pprof/profile?seconds=1", http.StatusOK, "\x1f\x8b"},
		{admin, "/debug/pprof/none", http.StatusNotFound, ""},
	} {
		status, _, data := f.request(t, http.MethodGet, c.path, "", "Authorization", "Bearer "+c.key)
		if status != c.status || !strings.HasPrefix(string(data), c.want) {
			t.Errorf("%s: %d %.80q, want %d %q", c.path, status, data, c.status, c.want)
		}
	}
}
