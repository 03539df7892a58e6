package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"causerie/corpora"
	"causerie/finetune"
	"causerie/finetune/files"
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		os.Exit(workAsChild(folder))
	}
	scratch, err := os.MkdirTemp("", "causerie-jobs-test-")
	if err != nil {
		panic(err)
	}
	baseFolder = filepath.Join(scratch, "base")
	// SQLite's and River's goroutines end with what they belong to; nothing of
	// ours may stay.
	code := m.Run()
	if err := errors.Join(os.RemoveAll(scratch), goleak.Find()); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

var baseFolder string // of a tiny model, once makeBase was called

// makeBase trains the tiny model that the tests' jobs begin with.
var makeBase = sync.OnceValue(func() error {
	data := baseFolder + ".jsonl"
	if err := os.WriteFile(data, []byte(chats(60, 0)), 0o600); err != nil {
		return err
	}
	_, err := finetune.Train(context.Background(), finetune.Options{
		Out: baseFolder, Data: []corpora.Source{{Path: data}},
		Vocab: 300, Layers: 2, Width: 16, Heads: 2, Context: 96, Rows: 128, Steps: 3, Seed: 1, Threads: 1,
	})
	return err
})

// tinyBase are options with the tiny model under the name "tiny".
func tinyBase(t testing.TB, o Options) Options {
	t.Helper()
	if err := makeBase(); err != nil {
		t.Fatal(err)
	}
	o.Threads = 1
	o.Base = func(name string) (string, bool) { return baseFolder, name == "tiny" }
	return o
}

// chats is training data in OpenAI's format.
func chats(n, seed int) string {
	words := []string{"tea", "rain", "music", "books", "你好", "天气", "good", "happy", "猫", "walk"}
	var b strings.Builder
	for i := range n {
		pick := func(k int) string { return words[(i*7+k*3+seed)%len(words)] }
		fmt.Fprintf(&b, `{"messages":[{"role":"user","content":"do you like %s and %s? (%d)"},{"role":"assistant","content":"yes, %s is %s."}]}`+"\n",
			pick(0), pick(1), i, pick(2), pick(3))
	}
	return b.String()
}

// open opens a service over a folder, with its files.
func open(t testing.TB, o Options) *Service {
	t.Helper()
	s, done := openUntil(t, o)
	t.Cleanup(done)
	return s
}

// openUntil is open for a service that is closed before the test ends.
func openUntil(t testing.TB, o Options) (_ *Service, done func()) {
	t.Helper()
	if o.Folder == "" {
		o.Folder = t.TempDir()
	}
	f, err := files.Open(context.Background(), files.Options{Folder: o.Folder})
	if err != nil {
		t.Fatal(err)
	}
	o.Files = f
	o.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	s, err := Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s, sync.OnceFunc(func() {
		if err := errors.Join(s.Close(), f.Close()); err != nil {
			t.Error(err)
		}
	})
}

// upload keeps a training file.
func upload(t testing.TB, s *Service, owner, text string) string {
	t.Helper()
	f, err := s.o.Files.Create(t.Context(), owner, files.New{Filename: "chats.jsonl", Purpose: files.FineTune}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// await waits until a job satisfies a condition.
func await(t testing.TB, s *Service, owner, id string, what string, ok func(Job) bool) Job {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		changed := s.changes.after()
		j, err := s.Job(t.Context(), owner, id)
		if err != nil {
			t.Fatal(err)
		}
		if ok(j) {
			return j
		}
		if j.Status.Final() || time.Now().After(end) {
			t.Fatalf("waiting until the job is %s, it is %s at step %d: %v", what, j.Status, j.Step, j.Error)
		}
		select {
		case <-changed:
		case <-time.After(time.Second):
		}
	}
}

func awaitStatus(t testing.TB, s *Service, id string, status Status) Job {
	t.Helper()
	return await(t, s, "", id, string(status), func(j Job) bool { return j.Status == status })
}

// contents reads all files of a folder, by name.
func contents(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(data)
	}
	return all
}

// seeded makes the seed of a request.
func seeded(n int64) *int64 { return &n }
