package api

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"causerie/finetune/files"
)

// Limits of an upload beside those of the file itself.
const (
	maxForm     = 1 << 20 // what the form has around the file
	maxField    = 256     // bytes of a value
	maxFilename = 255
)

// upload is a file on its way here, in a form of fields that come in any order.
// The file is written as it comes: no more than a piece of it is in memory.
type upload struct {
	form    *multipart.Reader
	body    *patientReader
	purpose string
}

// receive keeps the file that a request brings.
func (s *Server) receive(w http.ResponseWriter, r *http.Request, kept *files.Files) (files.File, error) {
	body := &patientReader{control: http.NewResponseController(w), r: http.MaxBytesReader(w, r.Body, kept.MaxBytes()+maxForm)}
	defer body.end()
	r.Body = io.NopCloser(body)
	form, err := r.MultipartReader()
	if err != nil {
		return files.File{}, invalid("", "the request must be a form (multipart/form-data) with the fields file and purpose: %v", err)
	}
	u := &upload{form: form, body: body}
	file, err := u.keep(r, kept)
	if body.err != nil { // which is then why
		err = body.failure(r)
	}
	return file, err
}

// keep reads the form up to the file, and the file. The fields behind it are
// read before it is kept.
func (u *upload) keep(r *http.Request, kept *files.Files) (files.File, error) {
	part, err := u.fields()
	if err != nil {
		return files.File{}, err
	}
	if part == nil {
		return files.File{}, invalid("file", "file is missing")
	}
	name := part.FileName()
	switch {
	case name == "":
		return files.File{}, invalid("file", "file has no name: it must be sent as a file, not as a value")
	case len(name) > maxFilename || !utf8.ValidString(name):
		return files.File{}, invalid("file", "the file's name must have 1 to %d bytes of UTF-8", maxFilename)
	}
	file, err := kept.Create(r.Context(), owner(r), files.New{Filename: name, Purpose: u.purpose, Last: u.last}, (*filePart)(part))
	if tooLarge, ok := errors.AsType[*files.TooLargeError](err); ok {
		e := invalid("file", "%v", tooLarge)
		e.Code = "request_too_large"
		return file, e
	}
	return file, err
}

// last checks what stands behind the file.
func (u *upload) last(f *files.File) error {
	part, err := u.fields()
	switch {
	case err != nil:
		return err
	case part != nil:
		return invalid("file", "file is given twice")
	case u.purpose == "":
		return invalid("purpose", "purpose is missing; for training it is %q", files.FineTune)
	case f.Bytes == 0:
		return invalid("file", "the file is empty")
	}
	f.Purpose = u.purpose
	return nil
}

// fields reads values up to a file or the form's end, where there is no part.
func (u *upload) fields() (*multipart.Part, error) {
	for {
		part, err := u.form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, badForm(err)
		}
		switch name := part.FormName(); {
		case name == "file":
			return part, nil
		case name == "purpose":
			if err := u.readPurpose(part); err != nil {
				return nil, err
			}
		case strings.HasPrefix(name, "expires_after"):
			return nil, unsupported("expires_after", "expires_after is not supported by this server: files stay until they are deleted")
		default:
			e := invalid(name, "%q is not a field that this server knows", name)
			e.Code = "unknown_parameter"
			return nil, e
		}
	}
}

func (u *upload) readPurpose(part *multipart.Part) error {
	value, err := io.ReadAll(io.LimitReader(part, maxField))
	switch {
	case err != nil:
		return badForm(err)
	case u.purpose != "":
		return invalid("purpose", "purpose is given twice")
	case !slices.Contains(files.Purposes(), string(value)):
		return invalid("purpose", "purpose must be one of %q, not %q", files.Purposes(), value)
	}
	u.purpose = string(value)
	return nil
}

func badForm(err error) error { return invalid("", "the form cannot be read: %v", err) }

// filePart is a part whose form breaks off: that is the client's fault.
type filePart multipart.Part

func (p *filePart) Read(b []byte) (int, error) {
	n, err := (*multipart.Part)(p).Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = badForm(err)
	}
	return n, err
}

// patientReader reads a body of any length, as long as pieces of it keep coming
// within bodyTime each. Connections without deadlines, as in some tests, are
// read without one.
type patientReader struct {
	control *http.ResponseController
	r       io.Reader
	err     error // that ended it, but for its end
}

func (p *patientReader) Read(b []byte) (int, error) {
	_ = p.control.SetReadDeadline(time.Now().Add(bodyTime))
	n, err := p.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		p.err = err
	}
	return n, err
}

// end lifts the limit of time.
func (p *patientReader) end() { _ = p.control.SetReadDeadline(time.Time{}) }

// failure says what ended the body too soon.
func (p *patientReader) failure(r *http.Request) error {
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](p.err); ok {
		e := invalid("file", "the request body is larger than %d bytes", tooLarge.Limit)
		e.Code = "request_too_large"
		return e
	}
	if err := r.Context().Err(); err != nil {
		return fmt.Errorf("receiving a file: %w", err)
	}
	return invalid("", "the request body ends too soon: %v", p.err)
}
