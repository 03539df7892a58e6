package corpora

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"causerie/models/dialogue"
)

func TestParseSources(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"a.jsonl", "b.jsonl", "c.txt", "odd*2"} {
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o755); err != nil {
		t.Fatal(err)
	}
	starters := func(weight float64) (sources []Source) {
		for _, path := range StarterPaths() {
			sources = append(sources, Source{path, weight})
		}
		return sources
	}
	tests := []struct {
		arg  string
		want []Source
	}{
		{"a.jsonl", []Source{{"a.jsonl", 1}}},
		{"a.jsonl*5", []Source{{"a.jsonl", 5}}},
		{"a.jsonl*0.25", []Source{{"a.jsonl", 0.25}}},
		{"*.jsonl", []Source{{"a.jsonl", 1}, {"b.jsonl", 1}}},
		{"*.jsonl*3", []Source{{"a.jsonl", 3}, {"b.jsonl", 3}}},
		{"[ac].*", []Source{{"a.jsonl", 1}, {"c.txt", 1}}},
		{"odd*2", []Source{{"odd*2", 1}}},
		{"odd*2*2", []Source{{"odd*2", 2}}},
		{"-", []Source{{"-", 1}}},
		{"starter", starters(1)},
		{"starter*5", starters(5)},
		{"starter:en.jsonl*2", []Source{{"starter:en.jsonl", 2}}},
	}
	for _, tt := range tests {
		got, err := ParseSources(tt.arg)
		if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", tt.arg, err, diff)
		}
		for _, s := range got {
			if again, err := ParseSources(s.String()); err != nil || !slices.Equal(again, []Source{s}) {
				t.Errorf("%s: read again as %v, %v", s, again, err)
			}
		}
	}
	for arg, want := range map[string]string{
		"no.jsonl":   "no.jsonl: no such file",
		"no*.jsonl":  "no*.jsonl: no such file",
		"a.jsonl*0":  "positive",
		"a.jsonl*-1": "positive",
		"no*2":       "no: no such file",
		"folder":     "a folder; name the files in it",
		"[":          "syntax error in pattern",
	} {
		_, err := ParseSources(arg)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "The system cannot find the file specified", "no such file"), want) {
			t.Errorf("%s: error %v, want one with %q", arg, err, want)
		}
	}
}

// TestStarter holds the bundled corpus to what every corpus has to be, and to
// more: no dialogue twice, nothing after which a model would have to guess.
func TestStarter(t *testing.T) {
	ids := map[string]bool{}
	for _, path := range StarterPaths() {
		lang := strings.TrimSuffix(strings.TrimPrefix(path, StarterPrefix), ".jsonl")
		r, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(lang) != 2 {
			t.Errorf("%s: the name is no language", path)
		}
		seen := map[string]string{}
		for d, err := range r.All() {
			if err != nil {
				t.Error(err)
				continue
			}
			if ids[d.ID] || !strings.HasPrefix(d.ID, "starter-"+lang+"-") || d.Lang != lang {
				t.Errorf("%s: id %q (twice: %v), language %q", path, d.ID, ids[d.ID], d.Lang)
			}
			ids[d.ID] = true
			if d.Turns[len(d.Turns)-1].Role != dialogue.RoleAssistant {
				t.Errorf("%s: %s ends with the user", path, d.ID)
			}
			var all strings.Builder
			for _, turn := range d.Turns {
				if turn.Text != strings.TrimSpace(turn.Text) {
					t.Errorf("%s: %s has blanks around %q", path, d.ID, turn.Text)
				}
				all.WriteString(turn.Text + "\n")
			}
			if other, ok := seen[all.String()]; ok {
				t.Errorf("%s: %s repeats %s", path, d.ID, other)
			}
			seen[all.String()] = d.ID
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if r.Dialogues() < 300 {
			t.Errorf("%s: %d dialogues only", path, r.Dialogues())
		}
	}
	if len(ids) == 0 {
		t.Error("the starter corpus is empty")
	}
}

// TestSourceString: a weight of 1, said or not, goes without saying.
func TestSourceString(t *testing.T) {
	path := filepath.Join("a", "b.jsonl")
	for want, s := range map[string]Source{path: {Path: path}, path + "*1.5": {Path: path, Weight: 1.5}} {
		if s.String() != want {
			t.Errorf("%q, want %q", s, want)
		}
	}
}
