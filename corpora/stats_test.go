package corpora

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"causerie/models/dialogue"
)

// TestMeasureGolden keeps the report of three small files, for machines and for
// people.
func TestMeasureGolden(t *testing.T) {
	t.Chdir(goldenFolder(t))
	paths := []string{"a.jsonl.gz", "b.txt", "c.tsv"}
	o := MeasureOptions{Read: Options{SkipBad: true, KeepBad: 2}}
	var b bytes.Buffer
	for _, tpl := range []dialogue.Template{nil, dialogue.ForTokenizer(markerTokens)} {
		o.Template = tpl
		report, err := Measure(context.Background(), paths, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := report.WriteTable(&b); err != nil {
			t.Fatal(err)
		}
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(originalFolder)
	golden(t, "measure.golden", b.Bytes())
}

var originalFolder, _ = os.Getwd()

func goldenFolder(t *testing.T) string {
	dir := t.TempDir()
	files := map[string]string{
		"a.jsonl.gz": string(gzipped(t, []byte(sameDialogues[FormatTurns]+sameDialogues[FormatTurns]+"{}\n[]\nx\n"))),
		"b.txt":      sameDialogues[FormatChitchat] + "\nHi!\nBye.\nHello?\nHello.\nHm\nMm\n",
		"c.tsv":      sameDialogues[FormatTSV] + "Hi!\tBye.\n",
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestMeasureErrors(t *testing.T) {
	path := writeFile(t, "x.jsonl", []byte("{\"turns\":[\"a\"]}\n{}\n"))
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	tests := []struct {
		ctx   context.Context
		paths []string
		want  string
	}{
		{context.Background(), nil, "no file"},
		{context.Background(), []string{path}, "x.jsonl:2: "},
		{context.Background(), []string{path + "y"}, "x.jsonly"},
		{canceled, []string{path}, "canceled"},
	}
	for _, tt := range tests {
		if _, err := Measure(tt.ctx, tt.paths, MeasureOptions{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want one with %q", tt.paths, err, tt.want)
		}
	}
}

func TestLengths(t *testing.T) {
	var hundred []int32
	for i := range int32(100) {
		hundred = append(hundred, 100-i)
	}
	tests := []struct {
		lengths []int32
		want    Lengths
	}{
		{nil, Lengths{}},
		{[]int32{7}, Lengths{Mean: 7, Min: 7, P10: 7, P50: 7, P90: 7, P99: 7, Max: 7}},
		{[]int32{3, 1}, Lengths{Mean: 2, Min: 1, P10: 1, P50: 1, P90: 3, P99: 3, Max: 3}},
		{hundred, Lengths{Mean: 50.5, Min: 1, P10: 10, P50: 50, P90: 90, P99: 99, Max: 100}},
	}
	for _, tt := range tests {
		if got := lengthsOf(tt.lengths); got != tt.want {
			t.Errorf("%+v, want %+v", got, tt.want)
		}
	}
}
