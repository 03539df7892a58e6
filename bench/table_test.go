package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file in testdata, or writes it (go test -update).
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// example is a report with everything that one can hold.
func example() *Report {
	return &Report{
		Schema: Schema, Version: "causerie v1", Started: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 61.5, Interrupted: true,
		Machine: Machine{
			CPU: "Some CPU", OS: "linux", Arch: "amd64", Kernels: "avx512", Threads: 2,
			Figures: []Figure{
				{Name: "read_all", Label: "reading memory, 2 threads", Unit: "GB/s", Summary: Summarize([]float64{41, 45.25, 44})},
				{Name: "peak_f32", Label: "multiply-adds, f32", Unit: "GOP/s", Summary: Summarize([]float64{235.4})},
			},
		},
		Runs: []Run{{
			Model: "124M (random weights)", DType: "int8", Parameters: 124439808, Context: 1024, StepBytes: 123532032, CacheTokenBytes: 73728,
			Figures: []Figure{
				{Name: "decode_1_short", Label: "decoding, 1 stream, context 64 to 128", Unit: "tokens/s", Summary: Summarize([]float64{301, 310.2}),
					Limit: &Limit{Value: 341.2, By: byMemory, Share: 0.897}},
				{Name: "load", Label: "loading the model", Unit: "ms", Summary: Summarize([]float64{9.5, 12})},
			},
			Skipped: []Skip{{Name: "decode_16_full", Reason: "preparing it would take some 9 s, and there are 4 s left for it"}},
		}},
		Comparison: &Comparison{
			Ours:   Side{URL: "http://127.0.0.1:1", Model: "dir, int8", Endpoint: "/v1/chat/completions"},
			Theirs: Side{URL: "http://127.0.0.1:2", Model: "x.gguf", Endpoint: "/v1/completions"},
			Figures: []Duel{
				{Name: "first_token", Label: "first token after 64", Unit: "ms", Ours: Summarize([]float64{20, 22}), Theirs: Summarize([]float64{80, 88}),
					Ratio: Summarize([]float64{0.25, 0.25}), OurTokens: Tokens{65, 64}, TheirTokens: Tokens{64, 64}},
				{Name: "decode_1", Label: "1 stream after its first token", Unit: "tokens/s", Ours: Summarize([]float64{300, 330}), Theirs: Summarize([]float64{150, 110}),
					Ratio: Summarize([]float64{2, 3}), OurTokens: Tokens{65, 64}, TheirTokens: Tokens{64, 64}},
				{Name: "memory", Label: "peak memory", Unit: "MiB", Ours: Summarize([]float64{300}), Theirs: Summarize([]float64{400}), Ratio: Summarize([]float64{0.75})},
			},
			Skipped: []Skip{{Name: "embeddings_128", Reason: "theirs: /v1/embeddings: status 501: no"}},
		},
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := example().WriteTable(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.golden", out.Bytes())
}

// TestJSON holds the names of the fields, which others rely on.
func TestJSON(t *testing.T) {
	out, err := json.MarshalIndent(example(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", append(out, '\n'))
	var back Report
	if err := json.Unmarshal(out, &back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(*example(), back); d != "" {
		t.Errorf("what was read back differs (-want +got):\n%s", d)
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0.00", 0.126: "0.13", 9.5: "9.50", 12.34: "12.3", 123.4: "123", 12345.6: "12346"} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %q, want %q", x, got, want)
		}
	}
	for n, want := range map[int64]string{900: "0.90 kB", 73728: "73.7 kB", 123532032: "124 MB", 6e9: "6.00 GB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
