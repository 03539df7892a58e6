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

func chain(t *testing.T, o ChainOptions, paths ...string) []Dialogue {
	t.Helper()
	conversations, err := Chain(t.Context(), paths, o)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(conversations)
}

func TestChain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "some.jsonl")
	if err := os.WriteFile(file, []byte(`{"lang":"en","turns":["a1","a2"]}
{"lang":"zh","turns":["甲1","甲2","甲3"]}
{"lang":"en","turns":["b1","b2","b3","b4"]}
{"lang":"en","turns":["alone"]}
{"lang":"zh","turns":["乙1","乙2"]}
`), 0o666); err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{"en": {"a1 a2", "b1 b2 b3 b4"}, "zh": {"甲1 甲2", "乙1 乙2"}}
	o := ChainOptions{Count: 50, Most: 3, Seed: 7}
	got := chain(t, o, file)
	if len(got) != 100 {
		t.Fatalf("%d conversations, want 50 of each language", len(got))
	}
	lengths := map[int]bool{}
	for _, d := range got {
		var words []string
		for i, turn := range d.Turns {
			if want := []dialogue.Role{dialogue.RoleUser, dialogue.RoleAssistant}[i%2]; turn.Role != want {
				t.Fatalf("%s: turn %d is the %s's", d.ID, i, turn.Role)
			}
			words = append(words, turn.Text)
		}
		rest, parts := strings.Join(words, " ")+" ", 0
		for rest != "" {
			i := slices.IndexFunc(known[d.Lang], func(k string) bool { return strings.HasPrefix(rest, k+" ") })
			if i < 0 {
				t.Fatalf("%s (%s) is not made of whole dialogues: %q", d.ID, d.Lang, words)
			}
			rest = rest[len(known[d.Lang][i])+1:]
			parts++
		}
		lengths[parts] = true
	}
	if !cmp.Equal(lengths, map[int]bool{2: true, 3: true}) {
		t.Errorf("conversations have %v dialogues, want 2 or 3", lengths)
	}
	if again := chain(t, o, file); !cmp.Equal(got, again) {
		t.Error("a second time gives other conversations")
	}
	o.Seed++
	if other := chain(t, o, file); cmp.Equal(got, other) {
		t.Error("another seed gives the same conversations")
	}
}

func TestChainRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.jsonl")
	if err := os.WriteFile(empty, []byte(`{"turns":["nobody answers"]}`+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o    ChainOptions
		path string
		want string
	}{
		{ChainOptions{Most: 1}, Starter, "at least 2"},
		{ChainOptions{Count: -1}, Starter, "must be positive"},
		{ChainOptions{}, filepath.Join(t.TempDir(), "none"), "none"},
		{ChainOptions{}, empty, "no dialogue in which a user is answered"},
	} {
		if _, err := Chain(t.Context(), []string{c.path}, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v of %s: %v, want %q", c.o, c.path, err, c.want)
		}
	}
}
