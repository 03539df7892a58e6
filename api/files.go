package api

import (
	"context"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/finetune/files"
)

// uploads are the files that clients have sent, or why there are none.
func (s *Server) uploads() (*files.Files, error) {
	if s.options.Files == nil {
		return nil, noDataFolder()
	}
	return s.options.Files, nil
}

// noDataFolder says why there are no files and jobs here.
func noDataFolder() error {
	return &Error{
		Status: http.StatusNotImplemented, Type: "invalid_request_error", Code: "no_data_folder",
		Message: `this server has no folder for files, jobs and fine-tuned models: start it with "causerie serve --data DIR"`,
	}
}

// fileObject is OpenAI's description of a file.
type fileObject struct {
	ID            string  `json:"id"`
	Object        string  `json:"object"`
	Bytes         int64   `json:"bytes"`
	CreatedAt     int64   `json:"created_at"`
	ExpiresAt     *int64  `json:"expires_at"`
	Filename      string  `json:"filename"`
	Purpose       string  `json:"purpose"`
	Status        string  `json:"status"`
	StatusDetails *string `json:"status_details"`
}

func fileOf(f files.File) fileObject {
	return fileObject{
		ID: f.ID, Object: "file", Bytes: f.Bytes, CreatedAt: f.Created.Unix(), Filename: f.Filename, Purpose: f.Purpose, Status: "processed",
	}
}

// createFile answers POST /v1/files.
func (s *Server) createFile(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.uploads()
	if err != nil {
		return err
	}
	file, err := s.receive(w, r, kept)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, fileOf(file))
	return nil
}

// Limits of a page of files, as OpenAI's specification has them.
var filePages = pages{usual: 10_000, most: 10_000}

// listFiles answers GET /v1/files.
func (s *Server) listFiles(w http.ResponseWriter, r *http.Request) error {
	page, query, err := filePages.read(r, true, "purpose")
	if err != nil {
		return err
	}
	purpose := query.Get("purpose")
	if query.Has("purpose") && !slices.Contains(allPurposes(), purpose) {
		return invalid("purpose", "purpose must be one of %q, not %q", allPurposes(), purpose)
	}
	kept, err := s.uploads()
	if err != nil {
		return err
	}
	found, more, err := kept.List(r.Context(), owner(r), purpose, page)
	if err != nil {
		return err
	}
	data := make([]fileObject, len(found))
	for i, f := range found {
		data[i] = fileOf(f)
	}
	writeJSON(w, http.StatusOK, newList(data, func(f fileObject) string { return f.ID }, more))
	return nil
}

// allPurposes are those of uploads and of what the server makes.
func allPurposes() []string { return append(files.Purposes(), files.FineTuneResults) }

// getFile answers GET /v1/files/{file_id}.
func (s *Server) getFile(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.uploads()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "file_id")
	file, err := kept.Get(r.Context(), owner(r), id)
	if err != nil {
		return missing(err, "file", id)
	}
	writeJSON(w, http.StatusOK, fileOf(file))
	return nil
}

// fileContent answers GET /v1/files/{file_id}/content with the very bytes that
// were uploaded, or a range of them.
func (s *Server) fileContent(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.uploads()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "file_id")
	content, file, err := kept.Open(r.Context(), owner(r), id)
	if err != nil {
		return missing(err, "file", id)
	}
	defer content.Close() // it was only read
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": file.Filename}))
	http.ServeContent(w, r, "", file.Created, content)
	return nil
}

// deleteTime is how long deleting may take, also when the client has left.
const deleteTime = 30 * time.Second

// deleteFile answers DELETE /v1/files/{file_id}.
func (s *Server) deleteFile(w http.ResponseWriter, r *http.Request) error {
	kept, err := s.uploads()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "file_id")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), deleteTime)
	defer cancel()
	if err := kept.Delete(ctx, owner(r), id); err != nil {
		return missing(err, "file", id)
	}
	writeJSON(w, http.StatusOK, deleted{ID: id, Object: "file", Deleted: true})
	return nil
}
