package jobs

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"causerie/internal/durable"
	"causerie/models"
)

// TestDiskFull lets the disk be full from the n-th change on, for many n. The
// job fails and says so, whatever of it can be seen is whole, and with room on
// the disk the same job succeeds.
func TestDiskFull(t *testing.T) {
	s := open(t, tinyBase(t, Options{}))
	r := Request{
		Model: "tiny", TrainingFile: upload(t, s, "", chats(20, 3)), ValidationFile: upload(t, s, "", chats(5, 5)), Seed: seeded(1),
		Method: Method{Hyperparameters: Hyperparameters{Epochs: 3, BatchSize: 8}},
	}
	var changes, room atomic.Int64
	room.Store(1 << 40)
	defer durable.Inject(func(op durable.Op, path string) error {
		if op != durable.OpSync && strings.HasPrefix(path, s.folder) && changes.Add(1) > room.Load() {
			return syscall.ENOSPC
		}
		return nil
	})()
	run := func(status Status) Job {
		j, err := s.Create(t.Context(), "", r)
		if err != nil {
			t.Fatal(err)
		}
		return awaitStatus(t, s, j.ID, status)
	}
	calm := run(Succeeded)
	all := changes.Load()
	steps := int64(12)
	if os.Getenv("CAUSERIE_LONG") != "" {
		steps = min(all, 80)
	}
	for i := range steps {
		n := i * all / steps
		changes.Store(0)
		room.Store(n)
		j := run(Failed)
		room.Store(1 << 40)
		if j.Error.Code != CodeDiskFull || !strings.Contains(j.Error.Message, "make room") {
			t.Errorf("with room for %d of %d changes the job says %+v", n, all, j.Error)
		}
		wholeModels(t, s)
	}
	sameModels(t, s, calm, run(Succeeded))
	awaitTidy(t, s)
}

// wholeModels opens all models that there are.
func wholeModels(t *testing.T, s *Service) {
	t.Helper()
	list, err := s.allModels(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if _, err := models.Open(t.Context(), m.Folder, models.Options{Frozen: true}); err != nil {
			t.Errorf("the model %s: %v", m.ID, err)
		}
	}
}

// TestWhatIsGone takes away what a job needs, before it is checked and after.
func TestWhatIsGone(t *testing.T) {
	o := tinyBase(t, Options{Folder: t.TempDir(), Workers: -1})
	base := filepath.Join(t.TempDir(), "base")
	if err := os.CopyFS(base, os.DirFS(baseFolder)); err != nil {
		t.Fatal(err)
	}
	o.Base = func(string) (string, bool) { return base, true }
	for _, c := range []struct {
		name, code, says string
		take             func(*Service, Job) error
	}{
		{"file", CodeFileNotFound, "upload it again", func(s *Service, j Job) error { return s.o.Files.Delete(t.Context(), "", j.TrainingFile) }},
		{"content", CodeFileNotFound, "upload it again", func(s *Service, j Job) error {
			return os.Remove(filepath.Join(s.folder, "files", j.TrainingFile))
		}},
		{"weights", CodeModel, "cannot be trained", func(*Service, Job) error { return os.Truncate(filepath.Join(base, "model.safetensors"), 100) }},
		{"base", CodeModel, "cannot be trained", func(*Service, Job) error { return os.RemoveAll(base) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, done := openUntil(t, o)
			j, err := s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: upload(t, s, "", chats(5, 0))})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.take(s, j); err != nil {
				t.Fatal(err)
			}
			done()
			working := o
			working.Workers = 1
			s, done = openUntil(t, working)
			defer done()
			j = awaitStatus(t, s, j.ID, Failed)
			if j.Error.Code != c.code || !strings.Contains(j.Error.Message, c.says) {
				t.Errorf("the error is %+v", j.Error)
			}
		})
	}
}

// TestTooLittleMemory has a machine that is too small.
func TestTooLittleMemory(t *testing.T) {
	o := tinyBase(t, Options{Folder: t.TempDir(), Workers: -1})
	s := open(t, o)
	j, err := s.Create(t.Context(), "", Request{Model: "tiny", TrainingFile: upload(t, s, "", chats(5, 0))})
	if err != nil {
		t.Fatal(err)
	}
	s.memory = func() int64 { return 1 << 20 }
	r, err := s.find(t.Context(), s.db, j.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.validate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := s.workAt(t.Context(), j.ID, Queued); err != nil {
		t.Fatal(err)
	}
	j = awaitStatus(t, s, j.ID, Failed)
	if j.Error.Code != CodeMemory || !strings.Contains(j.Error.Message, "smaller batch_size") {
		t.Errorf("the error is %+v", j.Error)
	}
}
