package bench

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"causerie/models/kernels"
)

// peer is a server of this program's own, as another one to compare with.
func peer(t *testing.T, shape string) *server {
	t.Helper()
	o := Options{Shape: shape, Threads: 1}
	o.EnsureDefaults()
	source, err := prepareSource(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := startServer(t.Context(), &o, source, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestCompare(t *testing.T) {
	r, err := Compare(t.Context(), Options{
		Shape: tiny, DTypes: []kernels.DType{kernels.Int8}, Streams: []int{1, 4}, Threads: 1, Time: time.Second, Against: peer(t, tiny).url,
	})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Comparison
	want := []string{"second_turn", "first_token", "decode_1", "reply_1", "reply_4", "first_token_4", "first_token_of_96", "embeddings_128"}
	var got []string
	for _, d := range c.Figures {
		got = append(got, d.Name)
		if d.Ours.Median <= 0 || d.Theirs.Median <= 0 || d.Ratio.Median <= 0 || len(d.Ours.Samples) != len(d.Theirs.Samples) {
			t.Errorf("%+v", d)
		}
		for i, ratio := range d.Ratio.Samples {
			if ratio != d.Ours.Samples[i]/d.Theirs.Samples[i] {
				t.Errorf("%s: pair %d: %v / %v is not %v", d.Name, i, d.Ours.Samples[i], d.Theirs.Samples[i], ratio)
			}
		}
		if d.OurTokens != d.TheirTokens || d.OurTokens.Prompt == 0 {
			t.Errorf("%s: %v tokens here, %v there", d.Name, d.OurTokens, d.TheirTokens)
		}
	}
	if !slices.Equal(got, want) || len(c.Skipped) != 0 {
		t.Errorf("figures %v, skipped %v; want %v", got, c.Skipped, want)
	}
	if reply := c.Figures[1].OurTokens.Reply; reply != 32 {
		t.Errorf("a reply of 32 tokens has %d", reply)
	}
}

// TestCompareAlternates: who goes first changes from pair to pair, and both are
// asked the same.
func TestCompareAlternates(t *testing.T) {
	other := peer(t, tiny)
	var asked atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			asked.Add(1)
		}
		http.Redirect(w, r, other.url+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer proxy.Close()
	r, err := Compare(t.Context(), Options{Shape: tiny, Threads: 1, Quick: true, Only: []string{groupPrefill}, Against: proxy.URL})
	if err != nil {
		t.Fatal(err)
	}
	// Discovery and a pair that does not count come before the samples.
	if n := len(r.Comparison.Figures[0].Ours.Samples); n != minSamples || asked.Load() < int32(n+1) {
		t.Errorf("%d samples, %d requests", n, asked.Load())
	}
}

// TestPeerThatFails: what it cannot do is left out, the rest is not.
func TestPeerThatFails(t *testing.T) {
	other := peer(t, tiny)
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/embeddings") {
			http.Error(w, `{"error":{"message":"start me with --embeddings"}}`, http.StatusNotImplemented)
			return
		}
		http.Redirect(w, r, other.url+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer gate.Close()
	o := Options{Shape: tiny, Threads: 1, Quick: true, Time: time.Second, Only: []string{groupEmbeddings, groupPrefill}, Against: gate.URL, AgainstPID: os.Getpid()}
	if runtime.GOOS != "linux" {
		o.AgainstPID = 0
	}
	r, err := Compare(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Comparison.Figures); n != 1 {
		t.Errorf("%d figures", n)
	}
	skipped := r.Comparison.Skipped
	if skipped[0].Name != "embeddings_128" || !strings.Contains(skipped[0].Reason, "theirs: /v1/embeddings: status 501: start me with --embeddings") {
		t.Errorf("skipped %v", skipped)
	}
	if o.AgainstPID != 0 && (len(skipped) != 2 || skipped[1].Name != "memory") {
		t.Errorf("memory of made-up weights: %v", skipped)
	}
}

func TestNoPeer(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for complaint, against := range map[string]string{"refused": gone.URL, "no server": "", "HOST:PORT": "8080"} {
		if _, err := Compare(t.Context(), Options{Shape: tiny, Against: against}); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("against %q: %v, want %q", against, err, complaint)
		}
	}
	web := httptest.NewServer(http.NotFoundHandler()) // a server, but no model
	defer web.Close()
	if _, err := Compare(t.Context(), Options{Shape: tiny, Against: web.URL}); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("against a web server: %v", err)
	}
}

func TestCompareInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := Compare(ctx, Options{Shape: tiny, Threads: 1, Time: time.Second, Against: peer(t, tiny).url, Progress: func(what string) {
		if strings.Contains(what, "8 streams") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || r == nil || !r.Interrupted || len(r.Comparison.Figures) != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
}

// TestCompareMemory: both processes' memory, when both load a real model.
func TestCompareMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other processes' memory is told on Linux only")
	}
	r, err := Compare(t.Context(), Options{Threads: 1, Quick: true, Time: time.Second, Only: []string{groupPrefill}, Against: peer(t, tiny).url, AgainstPID: os.Getpid()})
	if err != nil {
		t.Fatal(err)
	}
	last := r.Comparison.Figures[len(r.Comparison.Figures)-1]
	if last.Name != "memory" || last.Ratio.Median < 0.9 || last.Ratio.Median > 1.1 {
		t.Errorf("%+v", last) // of the same process twice
	}
}
