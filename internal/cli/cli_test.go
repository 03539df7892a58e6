package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"causerie/corpora"
)

func TestMainUsage(t *testing.T) {
	for _, test := range []struct {
		args   []string
		code   int
		out    string // must be part of stdout
		errOut string // must be part of stderr
	}{
		{[]string{"--version"}, exitOK, "causerie ", ""},
		{[]string{"--help"}, exitOK, "generate", ""},
		{[]string{"chat", "--help"}, exitOK, "--system", ""},
		{[]string{}, exitUsage, "", "causerie: expected"},
		{[]string{"dance"}, exitUsage, "", "causerie: unexpected argument dance"},
		{[]string{"chat", "--temperature", "warm"}, exitUsage, "", "--temperature"},
		{[]string{"chat", "--temperature=-1"}, exitUsage, "", "--temperature must lie between 0 and 100, not -1"},
		{[]string{"chat", "--max-tokens=0"}, exitUsage, "", "--max-tokens must be at least 1, not 0"},
		{[]string{"chat", "--top-p=2"}, exitUsage, "", "--top-p must lie between 0 and 1, not 2"},
		{[]string{"chat", "--stop="}, exitUsage, "", "--stop"},
		{[]string{"chat", "--model", "no/such/folder"}, exitFailure, "", `no model "no/such/folder"`},
		{[]string{"generate", "--ids", "1 x"}, exitUsage, "", `--ids: "x" is not a token id`},
		{[]string{"generate", "--ids", " "}, exitUsage, "", "--ids is empty"},
		{[]string{"generate", "--ids", "1", "--prompt", "x"}, exitUsage, "", "can't be used together"},
		{[]string{"corpora", "stats"}, exitUsage, "", "<file>"},
		{[]string{"corpora", "stats", "no-such.jsonl", "--tokenizer", "none"}, exitFailure, "", "no-such.jsonl"},
		{[]string{"corpora", "stats", "starter", "--tokenizer", "no/such"}, exitFailure, "", "no/such"},
		{[]string{"corpora", "chain", "starter", "--most", "1"}, exitUsage, "", "at least 2"},
		{[]string{"corpora", "chain", "no-such.jsonl"}, exitFailure, "", "no-such.jsonl"},
	} {
		code, out, errOut := run(t, "", test.args...)
		if code != test.code || !strings.Contains(out, test.out) || !strings.Contains(errOut, test.errOut) {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q", test.args, code, out, errOut)
		}
		if test.code != exitOK && (out != "" || !strings.HasPrefix(errOut, "causerie: ")) {
			t.Errorf("%q: stdout %q, stderr %q", test.args, out, errOut)
		}
	}
}

func TestReport(t *testing.T) {
	caused, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupt signal received"))
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		code int
		want string
	}{
		{"no error", t.Context(), nil, 0, ""},
		{"failure", t.Context(), errors.New("no luck"), 1, "causerie: no luck\n"},
		{"own code", t.Context(), fmt.Errorf("at work: %w", &ExitError{Code: 7, Err: errors.New("gone")}), 7, "causerie: at work: gone\n"},
		{"own code, nothing to say", t.Context(), &ExitError{Code: 130}, 130, ""},
		{"Ctrl-C", cancelled(t), fmt.Errorf("reading: %w", context.Canceled), 130, "causerie: interrupted\n"},
		{"Ctrl-C, by its cause", caused, fmt.Errorf("reading: %w", context.Cause(caused)), 130, "causerie: interrupted\n"},
		{"cancelled, but not by Ctrl-C", t.Context(), context.Canceled, 1, "causerie: context canceled\n"},
	} {
		var out bytes.Buffer
		if code := report(test.ctx, &out, test.err); code != test.code || out.String() != test.want {
			t.Errorf("%s: exit code %d, %q; want %d, %q", test.name, code, out.String(), test.code, test.want)
		}
	}
}

func TestCorporaStats(t *testing.T) {
	model := modelFolder(t)
	code, out, errOut := run(t, "", "corpora", "stats", "starter", "--tokenizer", model)
	if code != 0 || !strings.Contains(out, "tokens/dialogue") || !strings.Contains(out, "starter") {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, errOut, out)
	}
	code, out, errOut = run(t, "", "corpora", "stats", "starter", "--tokenizer", "none", "--json")
	if code != 0 || !strings.HasPrefix(out, "{") || !strings.Contains(out, `"dialogues"`) {
		t.Errorf("exit code %d, stderr %q, stdout:\n%.300s", code, errOut, out)
	}
}

// TestCorporaChain reads back what the command writes.
func TestCorporaChain(t *testing.T) {
	code, out, errOut := run(t, "", "corpora", "chain", "starter", "--count", "30")
	if code != 0 || errOut != "" {
		t.Fatalf("exit code %d, stderr %q", code, errOut)
	}
	r, err := corpora.NewReader("chained", strings.NewReader(out), corpora.Options{Format: corpora.FormatTurns})
	if err != nil {
		t.Fatal(err)
	}
	langs := map[string]int{}
	for d, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		if langs[d.Lang]++; len(d.Turns) < 4 || len(d.Turns)%2 != 0 {
			t.Errorf("%s has %d turns", d.ID, len(d.Turns))
		}
	}
	if langs["en"] != 30 || langs["zh"] != 30 {
		t.Errorf("conversations by language: %v", langs)
	}
}
