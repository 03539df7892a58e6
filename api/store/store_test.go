package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func open(t *testing.T, o Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// each runs a test on a store in memory and on one in a folder.
func each(t *testing.T, test func(*testing.T, *Store)) {
	t.Run("memory", func(t *testing.T) { test(t, open(t, Options{})) })
	t.Run("folder", func(t *testing.T) { test(t, open(t, Options{Folder: filepath.Join(t.TempDir(), "ein Ordner? #1")})) })
}

func completion(i int, metadata map[string]string) Completion {
	if metadata == nil {
		metadata = map[string]string{}
	}
	return Completion{
		ID: fmt.Sprintf("chatcmpl-%d", i), Model: fmt.Sprintf("m%d", i%2), Created: int64(1700000000 + i), Metadata: metadata,
		Body: json.RawMessage(`{"x":"你好"}`), Messages: []json.RawMessage{json.RawMessage(`{"role":"user"}`)},
	}
}

func ids(list []Completion) (out []string) {
	for _, c := range list {
		out = append(out, strings.TrimPrefix(c.ID, "chatcmpl-"))
	}
	return out
}

func TestCompletions(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		for i := range 5 {
			metadata := map[string]string{"topic": []string{"rain", "sun"}[i%2], `a"b'`: "1"}
			if err := s.AddCompletion(ctx, "me", completion(i, metadata)); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.AddCompletion(ctx, "you", completion(9, nil)); err != nil {
			t.Fatal(err)
		}
		got, err := s.Completion(ctx, "me", "chatcmpl-3")
		want := completion(3, map[string]string{"topic": "sun", `a"b'`: "1"})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
		for _, c := range []struct {
			name   string
			filter Filter
			page   Page
			want   string
			more   bool
		}{
			{"all", Filter{}, Page{Limit: 10}, "[0 1 2 3 4]", false},
			{"first", Filter{}, Page{Limit: 2}, "[0 1]", true},
			{"next", Filter{}, Page{Limit: 2, After: "chatcmpl-1"}, "[2 3]", true},
			{"last", Filter{}, Page{Limit: 2, After: "chatcmpl-3"}, "[4]", false},
			{"exactly", Filter{}, Page{Limit: 5}, "[0 1 2 3 4]", false},
			{"newest", Filter{}, Page{Limit: 2, Descending: true}, "[4 3]", true},
			{"older", Filter{}, Page{Limit: 2, Descending: true, After: "chatcmpl-1"}, "[0]", false},
			{"model", Filter{Model: "m1"}, Page{Limit: 9}, "[1 3]", false},
			{"metadata", Filter{Metadata: map[string]string{"topic": "rain", `a"b'`: "1"}}, Page{Limit: 2}, "[0 2]", true},
			{"no such metadata", Filter{Metadata: map[string]string{"topic": "rain", "x": ""}}, Page{Limit: 2}, "[]", false},
		} {
			list, more, err := s.Completions(ctx, "me", c.filter, c.page)
			if err != nil || fmt.Sprint(ids(list)) != c.want || more != c.more {
				t.Errorf("%s: %v, more %v, %v; want %s", c.name, ids(list), more, err, c.want)
			}
		}
		if _, _, err := s.Completions(ctx, "me", Filter{}, Page{After: "chatcmpl-9", Limit: 1}); !errors.Is(err, ErrAfter) {
			t.Errorf("going on after another owner's: %v", err)
		}
		if c, err := s.SetCompletionMetadata(ctx, "me", "chatcmpl-3", nil); err != nil || len(c.Metadata) != 0 || c.Metadata == nil {
			t.Errorf("%+v: %v", c, err)
		}
		if err := s.DeleteCompletion(ctx, "me", "chatcmpl-3"); err != nil {
			t.Error(err)
		}
		if _, err := s.Completion(ctx, "me", "chatcmpl-3"); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted: %v", err)
		}
		if err := s.DeleteCompletion(ctx, "me", "chatcmpl-3"); !errors.Is(err, ErrNotFound) {
			t.Errorf("deleted twice: %v", err)
		}
	})
}

func TestConversations(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		first := []Item{{ID: "msg_0", Role: "system", Parts: []string{"be brief"}}}
		if err := s.AddConversation(ctx, "me", Conversation{ID: "conv_1", Created: 5}, first); err != nil {
			t.Fatal(err)
		}
		more := []Item{{ID: "msg_1", Role: "user", Parts: []string{"a", "b"}}, {ID: "msg_2", Role: "assistant", Parts: []string{"c"}}}
		if err := s.AddItems(ctx, "me", "conv_1", more); err != nil {
			t.Fatal(err)
		}
		if err := s.AddItems(ctx, "me", "conv_1", []Item{{ID: "msg_3"}, {ID: "msg_1"}}); err == nil {
			t.Error("an id was used twice")
		}
		list, rest, err := s.Items(ctx, "me", "conv_1", Page{Limit: 10})
		if diff := cmp.Diff(append(first, more...), list); err != nil || rest || diff != "" {
			t.Errorf("%v, %v: %s", err, rest, diff)
		}
		list, rest, err = s.Items(ctx, "me", "conv_1", Page{Limit: 1, Descending: true, After: "msg_2"})
		if err != nil || !rest || len(list) != 1 || list[0].ID != "msg_1" {
			t.Errorf("%v, %v: %v", err, rest, list)
		}
		if item, err := s.Item(ctx, "me", "conv_1", "msg_2"); err != nil || item.Parts[0] != "c" {
			t.Errorf("%v: %v", item, err)
		}
		if c, err := s.SetConversationMetadata(ctx, "me", "conv_1", map[string]string{"a": "b"}); err != nil || c.Metadata["a"] != "b" || c.Created != 5 {
			t.Errorf("%v: %v", c, err)
		}
		if err := s.DeleteItem(ctx, "me", "conv_1", "msg_1"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteConversation(ctx, "me", "conv_1"); err != nil {
			t.Error(err)
		}
		var left int
		if err := s.db.QueryRowContext(ctx, `SELECT count(*) FROM items`).Scan(&left); err != nil || left != 0 {
			t.Errorf("%d items are left of a deleted conversation: %v", left, err)
		}
	})
}

// TestOwners asks for one owner's things as another.
func TestOwners(t *testing.T) {
	s := open(t, Options{})
	ctx := t.Context()
	if err := errors.Join(
		s.AddCompletion(ctx, "me", completion(1, nil)),
		s.AddConversation(ctx, "me", Conversation{ID: "conv_1"}, []Item{{ID: "msg_1"}}),
	); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(owner string) error{
		"Completion":            func(o string) error { _, err := s.Completion(ctx, o, "chatcmpl-1"); return err },
		"SetCompletionMetadata": func(o string) error { _, err := s.SetCompletionMetadata(ctx, o, "chatcmpl-1", nil); return err },
		"Conversation":          func(o string) error { _, err := s.Conversation(ctx, o, "conv_1"); return err },
		"SetConversationMetadata": func(o string) error {
			_, err := s.SetConversationMetadata(ctx, o, "conv_1", nil)
			return err
		},
		"AddItems": func(o string) error { return s.AddItems(ctx, o, "conv_1", []Item{{ID: "msg_of_" + o}}) },
		"Items":    func(o string) error { _, _, err := s.Items(ctx, o, "conv_1", Page{Limit: 1}); return err },
		"Item":     func(o string) error { _, err := s.Item(ctx, o, "conv_1", "msg_1"); return err },
	} {
		if err := ask("you"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s by another: %v", name, err)
		}
		if err := ask("me"); err != nil {
			t.Errorf("%s by its owner: %v", name, err)
		}
	}
	if err := s.DeleteItem(ctx, "you", "conv_1", "msg_1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteItem by another: %v", err)
	}
	if err := s.DeleteConversation(ctx, "you", "conv_1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteConversation by another: %v", err)
	}
	if err := s.DeleteCompletion(ctx, "you", "chatcmpl-1"); !errors.Is(err, ErrNotFound) {
		t.Errorf("DeleteCompletion by another: %v", err)
	}
}

func TestFolderKeepsAcrossOpenings(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.AddCompletion(t.Context(), "", completion(1, nil)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, Options{Folder: folder}).Completion(t.Context(), "", "chatcmpl-1"); err != nil {
		t.Errorf("after opening again: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, filepath.Join(folder, FileName): 0o600} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v: %v", path, info.Mode().Perm(), want, err)
		}
	}
}

func TestFull(t *testing.T) {
	each := map[string]Options{"memory": {MaxBytes: 1 << 20}, "folder": {MaxBytes: 1 << 20, Folder: t.TempDir()}}
	for name, o := range each {
		s := open(t, o)
		c := completion(0, nil)
		c.Body = json.RawMessage(`"` + strings.Repeat("x", 100<<10) + `"`)
		var err error
		for i := 0; i < 20 && err == nil; i++ {
			c.ID = fmt.Sprint(i)
			err = s.AddCompletion(t.Context(), "", c)
		}
		if !errors.Is(err, ErrFull) {
			t.Fatalf("%s: %v", name, err)
		}
		// What is there can still be read, and deleting makes room.
		if err := s.DeleteCompletion(t.Context(), "", "0"); err != nil {
			t.Errorf("%s: deleting: %v", name, err)
		}
		if err := s.AddCompletion(t.Context(), "", completion(1, nil)); err != nil {
			t.Errorf("%s: adding after deleting: %v", name, err)
		}
	}
}

func TestManyAtOnce(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				if err := s.AddConversation(t.Context(), "", Conversation{ID: fmt.Sprint(i)}, []Item{{ID: fmt.Sprint("m", i)}}); err != nil {
					t.Error(err)
				}
				if _, _, err := s.Items(t.Context(), "", fmt.Sprint(i), Page{Limit: 5}); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	})
}

// TestInterruptedQuestions cancels questions; a database in memory must live on.
func TestInterruptedQuestions(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		if err := s.AddConversation(t.Context(), "", Conversation{ID: "c"}, nil); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				go cancel()
				_ = s.AddItems(ctx, "", "c", []Item{{ID: fmt.Sprint(i)}}) // either way
			})
		}
		group.Wait()
		if _, err := s.Conversation(t.Context(), "", "c"); err != nil {
			t.Error(err)
		}
	})
}

func TestKeys(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		ctx := t.Context()
		k, secret, err := s.AddKey(ctx, "laptop", "", []string{"chat", "embed"})
		if err != nil || !strings.HasPrefix(secret, keyPrefix) || len(secret) < 60 {
			t.Fatalf("%q: %v", secret, err)
		}
		found, err := s.KeyBySecret(ctx, secret)
		if diff := cmp.Diff(k, found); err != nil || diff != "" {
			t.Errorf("%v: %s", err, diff)
		}
		if k.Owner != k.ID {
			t.Errorf("a key without an owner is %q's", k.Owner)
		}
		for _, wrong := range []string{"", "x", secret[:len(secret)-1], secret + "A", strings.ToLower(secret)} {
			if _, err := s.KeyBySecret(ctx, wrong); !errors.Is(err, ErrNotFound) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		if err := s.RevokeKey(ctx, k.ID); err != nil {
			t.Error(err)
		}
		if _, err := s.KeyBySecret(ctx, secret); !errors.Is(err, ErrNotFound) {
			t.Errorf("a revoked key: %v", err)
		}
		if err := s.RevokeKey(ctx, k.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("revoked twice: %v", err)
		}
		list, err := s.Keys(ctx)
		if err != nil || len(list) != 1 || list[0].Revoked.IsZero() || list[0].Name != "laptop" {
			t.Errorf("%v: %v", list, err)
		}
	})
}

// TestSecretsAreNotInTheFile reads the bytes of the database.
func TestSecretsAreNotInTheFile(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	_, secret, err := s.AddKey(t.Context(), "laptop", "", []string{"chat"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), "laptop") || strings.Contains(string(data), secret[len(keyPrefix)+4:]) {
		t.Error("the file must hold the key's name and not its secret")
	}
}

// TestDeletedTextIsNotInTheFile reads the bytes of the database.
func TestDeletedTextIsNotInTheFile(t *testing.T) {
	folder := t.TempDir()
	for _, deleted := range []bool{false, true} {
		s, err := Open(t.Context(), Options{Folder: folder})
		if err != nil {
			t.Fatal(err)
		}
		if deleted {
			err = s.DeleteConversation(t.Context(), "", "conv_1")
		} else {
			err = s.AddConversation(t.Context(), "", Conversation{ID: "conv_1"}, []Item{{ID: "msg_1", Parts: []string{"my darkest secret"}}})
		}
		if err := errors.Join(err, s.Close()); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(data), "darkest secret")
		}
		if found == deleted {
			t.Errorf("deleted %v, but found %v", deleted, found)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, FileName), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]Options{
		"a file for a folder": {Folder: file}, "another file": {Folder: broken}, "no space": {MaxBytes: 100},
	} {
		if s, err := Open(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
	}
}

func TestCloseLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	s, err := Open(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
