package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/openai/openai-go/v3"

	"causerie/finetune/files"
	"causerie/finetune/jobs"
	"causerie/models/hf"
	"causerie/pipeline"
)

// tinyFolder is the folder of the tiny model.
func tinyFolder(t *testing.T) string {
	t.Helper()
	tok, net, err := tinyModel()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "tiny")
	if err := hf.Save(dir, hf.Config{Model: net.Config}, hf.Generation{}, net.Params(), hf.F32); err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// maxTestFile is how large a file may be in the tests.
const maxTestFile = 1 << 20

// withTuning is withEngine for a server that fine-tunes its model, with so many
// workers; none are -1.
func withTuning(t *testing.T, workers int, set func(*Options)) *fixture {
	t.Helper()
	dir, folder := t.TempDir(), tinyFolder(t)
	kept, err := files.Open(t.Context(), files.Options{Folder: dir, MaxBytes: maxTestFile})
	if err != nil {
		t.Fatal(err)
	}
	service, err := jobs.Open(t.Context(), jobs.Options{
		Folder: dir, Files: kept, Workers: workers, Threads: 1,
		Base: func(name string) (string, bool) { return folder, name == "tiny" },
	})
	if err != nil {
		t.Fatal(err)
	}
	engines := pipeline.NewShelf(pipeline.ShelfOptions{
		Open: func(ctx context.Context, folder string) (*pipeline.Engine, error) {
			return pipeline.Open(ctx, folder, pipeline.EngineOptions{Threads: 1})
		},
		Failed: func(err error) { t.Error(err) },
	})
	f := withOptions(t, func(o *Options) {
		o.Files, o.Jobs, o.Engines = kept, service, engines
		set(o)
	})
	base := *f.catalog.first()
	base.Folder = folder
	if err := f.SetModel(base); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		f.http.Close() // its requests use what is closed here
		if err := errors.Join(engines.Close(ctx), service.Close(), kept.Close()); err != nil {
			t.Error(err)
		}
	})
	return f
}

// sendFile sends a file with OpenAI's client.
func sendFile(t *testing.T, client openai.Client, name, content string) *openai.FileObject {
	t.Helper()
	file, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader(content), name, "application/jsonl"), Purpose: openai.FilePurposeFineTune,
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSDKFiles(t *testing.T) {
	client := withTuning(t, -1, func(*Options) {}).sdk()
	content := "{\"messages\": []}\n\x00\xff你好"
	var made []string
	for i := range 5 {
		file := sendFile(t, client, fmt.Sprintf("chats %d 聊.jsonl", i), content)
		if file.Bytes != int64(len(content)) || file.Filename != fmt.Sprintf("chats %d 聊.jsonl", i) || file.Purpose != "fine-tune" || !strings.Contains(file.RawJSON(), `"status":"processed"`) {
			t.Errorf("the file is %s", file.RawJSON())
		}
		made = append(made, file.ID)
	}
	other, err := client.Files.New(t.Context(), openai.FileNewParams{
		File: openai.File(strings.NewReader("x"), "eval.jsonl", "text/plain"), Purpose: openai.FilePurposeEvals,
	})
	if err != nil {
		t.Fatal(err)
	}
	list := func(params openai.FileListParams) (ids []string) {
		t.Helper()
		pager := client.Files.ListAutoPaging(t.Context(), params)
		for pager.Next() {
			ids = append(ids, pager.Current().ID)
		}
		if err := pager.Err(); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	fineTune := openai.FileListParams{Purpose: openai.String("fine-tune"), Limit: openai.Int(2), Order: openai.FileListParamsOrderAsc}
	if diff := cmp.Diff(made, list(fineTune)); diff != "" {
		t.Errorf("by twos: %s", diff)
	}
	if diff := cmp.Diff([]string{other.ID, made[4], made[3], made[2], made[1], made[0]}, list(openai.FileListParams{})); diff != "" {
		t.Errorf("all, newest first: %s", diff)
	}
	if file, err := client.Files.Get(t.Context(), made[2]); err != nil || file.Filename != "chats 2 聊.jsonl" || file.CreatedAt == 0 {
		t.Errorf("%v: %+v", err, file)
	}
	answer, err := client.Files.Content(t.Context(), made[2])
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(got) != content || !strings.Contains(answer.Header.Get("Content-Disposition"), "attachment") {
		t.Errorf("%v: %q with %v", err, got, answer.Header)
	}
	if gone, err := client.Files.Delete(t.Context(), made[2]); err != nil || !gone.Deleted || gone.ID != made[2] {
		t.Errorf("%v: %+v", err, gone)
	}
	_, err = client.Files.Get(t.Context(), made[2])
	wantSDKError(t, err, http.StatusNotFound, "not_found", "")
	_, err = client.Files.Content(t.Context(), made[2])
	wantSDKError(t, err, http.StatusNotFound, "not_found", "")
	_, err = client.Files.New(t.Context(), openai.FileNewParams{
		File: bytes.NewReader(make([]byte, maxTestFile+1)), Purpose: openai.FilePurposeFineTune,
	})
	wantSDKError(t, err, http.StatusBadRequest, "request_too_large", "file")
	if got := list(openai.FileListParams{}); len(got) != 5 {
		t.Errorf("%d files are left", len(got))
	}
}

// formOf is a form of values, given as names and values in turn; the name
// "@file" makes a file of the value.
func formOf(t *testing.T, parts ...string) (body, contentType string) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		var part io.Writer
		var err error
		if name, ok := strings.CutPrefix(parts[i], "@"); ok {
			part, err = w.CreateFormFile(name, "a.jsonl")
		} else {
			part, err = w.CreateFormField(parts[i])
		}
		if err == nil {
			_, err = io.WriteString(part, parts[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

// TestBadUploads: what is wrong with a form is said, and nothing is kept.
func TestBadUploads(t *testing.T) {
	f := withTuning(t, -1, func(*Options) {})
	long := strings.Repeat("x", maxTestFile+1)
	for _, c := range []struct {
		parts                []string
		code, param, message string
	}{
		{[]string{"purpose", "fine-tune"}, "", "file", "missing"},
		{[]string{"@file", "x"}, "", "purpose", "missing"},
		{[]string{"purpose", "", "@file", "x"}, "", "purpose", "must be one of"},
		{[]string{"@file", "x", "purpose", "fun"}, "", "purpose", `not "fun"`},
		{[]string{"@file", "x", "purpose", long}, "", "purpose", "must be one of"},
		{[]string{"purpose", "fine-tune", "purpose", "fine-tune", "@file", "x"}, "", "purpose", "twice"},
		{[]string{"purpose", "fine-tune", "@file", "x", "@file", "y"}, "", "file", "twice"},
		{[]string{"purpose", "fine-tune", "file", "x"}, "", "file", "no name"},
		{[]string{"purpose", "fine-tune", "@file", ""}, "", "file", "empty"},
		{[]string{"purpose", "fine-tune", "@file", long}, "request_too_large", "file", "more than"},
		{[]string{"@file", "x", "purpose", "fine-tune", "colour", "red"}, "unknown_parameter", "colour", "not a field"},
		{[]string{"expires_after[anchor]", "created_at", "@file", "x"}, "unsupported_parameter", "expires_after", "until they are deleted"},
		{[]string{}, "", "file", "missing"},
	} {
		body, contentType := formOf(t, c.parts...)
		status, _, data := f.request(t, http.MethodPost, "/v1/files", body, "Content-Type", contentType)
		f.wantError(t, fmt.Sprintf("%.60q", c.parts), status, data, c.code, c.param, c.message)
	}
	body, contentType := formOf(t, "purpose", "fine-tune", "@file", strings.Repeat("x", 1000))
	for _, c := range []struct{ body, contentType, param, message string }{
		{body, "application/json", "", "must be a form"},
		{body, "multipart/form-data", "", "must be a form"},
		{body[:700], contentType, "", "unexpected EOF"},
		{body[:200], contentType, "", "cannot be read"},
		{body[:20], contentType, "file", "missing"},
		{"nonsense", contentType, "file", "missing"},
		{"", contentType, "file", "missing"},
	} {
		status, _, data := f.request(t, http.MethodPost, "/v1/files", c.body, "Content-Type", c.contentType)
		f.wantError(t, fmt.Sprintf("%.40q as %s", c.body, c.contentType), status, data, "", c.param, c.message)
	}
	if _, _, data := f.do(t, http.MethodGet, "/v1/files", ""); !strings.Contains(string(data), `"data":[]`) {
		t.Errorf("something was kept: %s", data)
	}
}

// wantError checks an answer with status 400.
func (f *fixture) wantError(t *testing.T, name string, status int, data []byte, code, param, message string) {
	t.Helper()
	e := errorOf(t, data)
	if e.Code == nil {
		e.Code = new("")
	}
	if e.Param == nil {
		e.Param = new("")
	}
	if status != http.StatusBadRequest || *e.Code != code || *e.Param != param || !strings.Contains(e.Message, message) {
		t.Errorf("%s: %d, code %q, param %q: %s", name, status, *e.Code, *e.Param, e.Message)
	}
}

// TestNoDataFolder: without one the answer says what to do, and clients do not
// try again.
func TestNoDataFolder(t *testing.T) {
	f := withEngine(t)
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/v1/files", ""},
		{http.MethodPost, "/v1/files", ""},
		{http.MethodGet, "/v1/fine_tuning/jobs", ""},
		{http.MethodPost, "/v1/fine_tuning/jobs", `{"model":"tiny","training_file":"file-1"}`},
		{http.MethodPost, "/v1/fine_tuning/jobs/x/cancel", ""},
		{http.MethodGet, "/v1/fine_tuning/jobs/x/events", ""},
	} {
		status, header, data := f.do(t, c.method, c.path, c.body)
		if e := errorOf(t, data); status != http.StatusNotImplemented || *e.Code != "no_data_folder" || !strings.Contains(e.Message, "--data") || header.Get("X-Should-Retry") != "false" {
			t.Errorf("%s %s: %d %s", c.method, c.path, status, data)
		}
	}
}
