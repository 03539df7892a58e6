package files

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, o Options) *Files {
	t.Helper()
	f, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func create(t *testing.T, f *Files, owner, text string) File {
	t.Helper()
	file, err := f.Create(t.Context(), owner, New{Filename: "a.jsonl", Purpose: FineTune}, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// places are the kinds of buckets.
func places(t *testing.T) map[string]Options {
	return map[string]Options{
		"folder": {Folder: t.TempDir()},
		"memory": {},
		"URL":    {Folder: t.TempDir(), Bucket: "mem://"},
	}
}

func TestFiles(t *testing.T) {
	for name, o := range places(t) {
		t.Run(name, func(t *testing.T) {
			f := open(t, o)
			file := create(t, f, "ann", "hello")
			if file.Bytes != 5 || file.Filename != "a.jsonl" || file.Purpose != FineTune || !strings.HasPrefix(file.ID, "file-") {
				t.Errorf("the file is %+v", file)
			}
			r, _, err := f.Open(t.Context(), "ann", file.ID)
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil || string(text) != "hello" {
				t.Errorf("it holds %q, %v", text, err)
			}
			others(t, f, file)
			if err := f.Delete(t.Context(), "ann", file.ID); err != nil {
				t.Fatal(err)
			}
			if _, err := f.Get(t.Context(), "ann", file.ID); !errors.Is(err, ErrNotFound) {
				t.Errorf("the deleted file: %v", err)
			}
			if there, err := f.bucket.Exists(t.Context(), file.ID); there || err != nil {
				t.Errorf("its content is there: %t, %v", there, err)
			}
		})
	}
}

// others asks for somebody else's file.
func others(t *testing.T, f *Files, file File) {
	t.Helper()
	ctx := t.Context()
	_, getErr := f.Get(ctx, "bob", file.ID)
	_, _, openErr := f.Open(ctx, "bob", file.ID)
	_, takeErr := f.Create(ctx, "bob", New{ID: file.ID, Filename: "b"}, strings.NewReader("mine"))
	if !errors.Is(getErr, ErrNotFound) || !errors.Is(openErr, ErrNotFound) || !errors.Is(f.Delete(ctx, "bob", file.ID), ErrNotFound) || takeErr == nil {
		t.Errorf("bob's answers are %v, %v, %v", getErr, openErr, takeErr)
	}
	if list, _, err := f.List(ctx, "bob", "", Page{Limit: 9}); err != nil || len(list) != 0 {
		t.Errorf("bob sees %v, %v", list, err)
	}
	if again, err := f.Create(ctx, "ann", New{ID: file.ID, Filename: "b"}, strings.NewReader("other")); err != nil || again != file {
		t.Errorf("made again, the file is %+v, %v", again, err)
	}
}

func TestList(t *testing.T) {
	f := open(t, Options{})
	var ids []string
	for range 5 {
		ids = append(ids, create(t, f, "", "x").ID)
	}
	first, more, err := f.List(t.Context(), "", FineTune, Page{Limit: 3})
	if err != nil || !more || len(first) != 3 || first[0].ID != ids[0] {
		t.Fatalf("the first page is %v, %t, %v", first, more, err)
	}
	rest, more, err := f.List(t.Context(), "", "", Page{After: first[2].ID, Limit: 3})
	if err != nil || more || len(rest) != 2 || rest[1].ID != ids[4] {
		t.Errorf("the second page is %v, %t, %v", rest, more, err)
	}
	if none, _, err := f.List(t.Context(), "", "batch", Page{Limit: 3}); err != nil || len(none) != 0 {
		t.Errorf("of another purpose are %v, %v", none, err)
	}
	if _, _, err := f.List(t.Context(), "", "", Page{After: "file-none", Limit: 3}); !errors.Is(err, ErrAfter) {
		t.Errorf("after nothing: %v", err)
	}
}

// endless is a reader that counts what is taken from it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read += int64(len(p))
	return len(p), nil
}

// TestTooLarge uploads without end: that is refused soon after the limit, and
// nothing is left.
func TestTooLarge(t *testing.T) {
	for name, o := range places(t) {
		t.Run(name, func(t *testing.T) {
			o.MaxBytes = 1 << 20
			f := open(t, o)
			var body endless
			_, err := f.Create(t.Context(), "", New{Filename: "big"}, &body)
			tooLarge, ok := errors.AsType[*TooLargeError](err)
			if !ok || tooLarge.Limit != 1<<20 || body.read > 2<<20 {
				t.Errorf("after %d bytes: %v", body.read, err)
			}
			nothingLeft(t, f)
			exact, err := f.Create(t.Context(), "", New{Filename: "exact"}, io.LimitReader(&body, 1<<20))
			if err != nil || exact.Bytes != 1<<20 {
				t.Errorf("a file as large as the limit: %+v, %v", exact, err)
			}
		})
	}
}

// nothingLeft looks for traces of a file that was not to be.
func nothingLeft(t *testing.T, f *Files) {
	t.Helper()
	var rows int
	if err := f.db.QueryRowContext(t.Context(), `SELECT count(*) FROM files`).Scan(&rows); err != nil || rows > 0 {
		t.Errorf("%d records are left, %v", rows, err)
	}
	if o, err := f.bucket.List(nil).Next(t.Context()); err != io.EOF {
		t.Errorf("%+v is left, %v", o, err)
	}
	if f.local != "" {
		if entries, err := os.ReadDir(f.local); err != nil || len(entries) > 0 {
			t.Errorf("%v are left, %v", entries, err)
		}
	}
}

// failing is a body whose connection breaks.
type failing struct{ io.Reader }

func (f failing) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func TestBrokenUpload(t *testing.T) {
	f := open(t, Options{Folder: t.TempDir()})
	_, err := f.Create(t.Context(), "", New{Filename: "a"}, failing{strings.NewReader("half")})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	nothingLeft(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Create(ctx, "", New{Filename: "a"}, strings.NewReader("x")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	nothingLeft(t, f)
}

// TestSweep makes what processes leave that were killed in the middle of an
// upload and of a deletion; the next start removes it, but not what another
// process is writing.
func TestSweep(t *testing.T) {
	folder := t.TempDir()
	f := open(t, Options{Folder: folder})
	kept := create(t, f, "", "kept")
	deleted := create(t, f, "", "deleted")
	_, err := f.db.ExecContext(t.Context(), `INSERT INTO files (id, owner, filename, purpose, created, state) VALUES ('file-X', '', 'x', 'x', 0, 'writing');
		UPDATE files SET state = 'deleting' WHERE id = '`+deleted.ID+`'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"file-X", "file-X.1234.tmp"} {
		if err := os.WriteFile(filepath.Join(folder, bucketName, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if list, _, err := f.List(t.Context(), "", "", Page{Limit: 9}); err != nil || len(list) != 1 {
		t.Errorf("visible are %v, %v", list, err)
	}
	body, end := io.Pipe()
	uploaded := make(chan error, 1)
	go func() {
		_, err := f.Create(t.Context(), "", New{Filename: "slow"}, body)
		uploaded <- err
	}()
	if _, err := end.Write([]byte("slow")); err != nil { // the upload is under way
		t.Fatal(err)
	}
	count := func(name string) int {
		entries, err := os.ReadDir(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	second := open(t, Options{Folder: folder})
	if err := errors.Join(end.Close(), <-uploaded); err != nil {
		t.Errorf("the upload beside the sweep: %v", err)
	}
	if n := count(bucketName); n != 2 {
		t.Errorf("%d files are there after the sweep", n)
	}
	if n := count(uploadsName); n != 0 {
		t.Errorf("%d locks are there after the sweep", n)
	}
	r, _, err := second.Open(t.Context(), "", kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// TestGone opens a file whose content somebody has taken out of the folder.
func TestGone(t *testing.T) {
	folder := t.TempDir()
	f := open(t, Options{Folder: folder})
	file := create(t, f, "", "x")
	if err := os.Remove(filepath.Join(folder, bucketName, file.ID)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.Open(t.Context(), "", file.ID); err == nil || !strings.Contains(err.Error(), "upload it again") {
		t.Error(err)
	}
}
