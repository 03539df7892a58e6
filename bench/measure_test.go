package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"causerie/models/kernels"
)

// self runs this test binary as a child.
func self(t *testing.T) []string {
	t.Helper()
	t.Setenv(childVariable, "1")
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{path}
}

func TestMeasure(t *testing.T) {
	var told []string
	o := Options{
		Shape: tiny, DTypes: []kernels.DType{kernels.Float32, kernels.Int8}, Streams: []int{1, 3},
		Time: time.Second, Threads: 2, Self: self(t), Version: "test",
		Progress: func(what string) { told = append(told, what) },
	}
	r, err := Measure(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Schema != Schema || r.Interrupted || r.Version != "test" || r.Machine.Threads != 2 || len(r.Runs) != 2 {
		t.Fatalf("report %+v", r)
	}
	if got := names(r.Machine.Figures); !slices.Contains(got, "read_1") || !slices.Contains(got, "read_all") || !slices.Contains(got, "peak_int8") {
		t.Errorf("of the machine there are %v", got)
	}
	want := []string{
		"decode_1_short", "decode_3_short", "prefill_128", "first_token_idle", "first_token_loaded", "embeddings_128",
		"decode_1_full", "decode_3_full", "load", "ready", "memory_loaded", "memory_served",
	}
	for i, d := range []string{"f32", "int8"} {
		run := r.Runs[i]
		if got := names(run.Figures); !slices.Equal(got, want) || run.DType != d || len(run.Skipped) != 1 || run.Skipped[0].Name != "prefill_512" {
			t.Errorf("run %s has %v and lacks %v, want %v", run.DType, got, run.Skipped, want)
		}
		for _, f := range run.Figures {
			checkFigure(t, f)
		}
	}
	if r.Runs[0].StepBytes != 4*r.Runs[1].StepBytes {
		t.Errorf("a step reads %d bytes in f32 and %d in int8", r.Runs[0].StepBytes, r.Runs[1].StepBytes)
	}
	if len(told) < len(want) {
		t.Errorf("progress told %q only", told)
	}
}

func names(figures []Figure) []string {
	var n []string
	for _, f := range figures {
		n = append(n, f.Name)
	}
	return n
}

func checkFigure(t *testing.T, f Figure) {
	t.Helper()
	if f.Median <= 0 || f.Min > f.Median || f.Median > f.Max || len(f.Samples) == 0 || len(f.Samples) > maxSamples {
		t.Errorf("%s: %+v", f.Name, f.Summary)
	}
	limited := slices.Contains([]string{"decode", "prefil", "embedd"}, f.Name[:min(6, len(f.Name))]) || f.Name == "first_token_idle"
	if limited != (f.Limit != nil) {
		t.Errorf("%s: its limit is %v", f.Name, f.Limit)
	}
	// A tiny network is far from every limit; nothing is beyond one.
	if f.Limit != nil && (f.Limit.Share <= 0 || f.Limit.Share > 1 || f.Limit.Value <= 0) {
		t.Errorf("%s: limit %+v", f.Name, *f.Limit)
	}
}

// TestMeasureBundled is the smoke test of what a person runs first.
func TestMeasureBundled(t *testing.T) {
	r, err := Measure(t.Context(), Options{Quick: true, Time: 500 * time.Millisecond, Streams: []int{1}, Only: []string{groupDecode}})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Machine.Figures) != 0 || len(r.Runs) != 1 || r.Runs[0].Model != "default" {
		t.Errorf("report %+v", r)
	}
	if got := names(r.Runs[0].Figures); !slices.Equal(got, []string{"decode_1_short", "decode_1_full"}) {
		t.Errorf("figures %v", got)
	}
}

// TestInterrupted: what was measured by then is there.
func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := Options{Shape: tiny, Time: time.Second, Progress: func(what string) {
		if strings.Contains(what, "prompt of") {
			cancel()
		}
	}}
	r, err := Measure(ctx, o)
	if !errors.Is(err, context.Canceled) || r == nil || !r.Interrupted {
		t.Fatalf("%+v, %v", r, err)
	}
	if got := names(r.Runs[0].Figures); !slices.Equal(got, []string{"decode_1_short", "decode_4_short", "decode_8_short", "decode_16_short"}) {
		t.Errorf("figures %v", got)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil || !strings.Contains(table.String(), "Interrupted") {
		t.Errorf("%v\n%s", err, table.String())
	}
}

// TestNoTime: what takes too long to prepare is left out, with the reason.
func TestNoTime(t *testing.T) {
	r, err := Measure(t.Context(), Options{Shape: tiny, Time: time.Nanosecond, Streams: []int{2}, Only: []string{groupPrefill, groupDecode}})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(r.Runs[0].Figures); !slices.Equal(got, []string{"decode_2_short", "prefill_128"}) {
		t.Errorf("figures %v", got)
	}
	if s := r.Runs[0].Skipped; len(s) != 2 || s[1].Name != "decode_2_full" || !strings.Contains(s[1].Reason, "would take") {
		t.Errorf("skipped %v", s)
	}
}

func TestValidate(t *testing.T) {
	for complaint, o := range map[string]Options{
		"not both":           {Model: "a", Shape: "8M"},
		`shape "9M"`:         {Shape: "9M"},
		`nothing is called`:  {Only: []string{"speed"}},
		"number of streams":  {Streams: []int{0}},
		"number of threads":  {Threads: -1},
		"is negative":        {Time: -1},
		"one type of weight": {Against: "http://x", DTypes: []kernels.DType{kernels.Float32, kernels.Int8}},
	} {
		if _, err := Measure(t.Context(), o); err == nil || !strings.Contains(err.Error(), complaint) {
			t.Errorf("%+v: error %v, want one with %q", o, err, complaint)
		}
	}
	if _, err := Measure(t.Context(), Options{Model: "/no/such/folder", Only: []string{groupDecode}}); err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
		t.Errorf("a missing model: %v", err)
	}
}

// TestChildFails: what the other process says about it is in the error.
func TestChildFails(t *testing.T) {
	_, err := startChild(t.Context(), self(t), childJob{Model: "/no/such/folder", DType: "f32", Streams: 1})
	if err == nil || !strings.Contains(err.Error(), "/no/such/folder") {
		t.Errorf("error %v", err)
	}
	if _, err := startChild(t.Context(), []string{"/no/such/program"}, childJob{}); err == nil || !strings.Contains(err.Error(), "/no/such/program") {
		t.Errorf("error %v", err)
	}
}

func TestSchedule(t *testing.T) {
	s := newSchedule(time.Now().Add(40 * time.Second))
	s.plan([]trial{{weight: 1}, {weight: 3}})
	if got := s.next(&trial{weight: 1}); got < 9*time.Second || got > 10*time.Second {
		t.Errorf("a quarter of 40 s is %s", got)
	}
	// The first one used nothing of it.
	if got := s.next(&trial{weight: 3}); got < 39*time.Second || got > 40*time.Second {
		t.Errorf("all of 40 s is %s", got)
	}
}
