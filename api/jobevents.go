package api

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"causerie/finetune/jobs"
	"causerie/pipeline"
)

// eventObject is OpenAI's description of what happened to a job.
type eventObject struct {
	ID        string         `json:"id"`
	Object    string         `json:"object"`
	CreatedAt int64          `json:"created_at"`
	Level     string         `json:"level"`
	Message   string         `json:"message"`
	Type      string         `json:"type"`
	Data      map[string]any `json:"data"`
}

func eventOf(e jobs.Event) eventObject {
	o := eventObject{
		ID: e.ID, Object: "fine_tuning.job.event", CreatedAt: e.Created.Unix(), Level: e.Level, Message: e.Message, Type: e.Type, Data: e.Data,
	}
	if o.Data == nil {
		o.Data = map[string]any{}
	}
	return o
}

// jobEvents answers GET /v1/fine_tuning/jobs/{job_id}/events: a page, newest
// first, or a stream, oldest first, that goes on as long as the job does.
func (s *Server) jobEvents(w http.ResponseWriter, r *http.Request) error {
	page, query, err := readPage(r, true, "stream")
	if err != nil {
		return err
	}
	stream := strings.Contains(r.Header.Get("Accept"), "text/event-stream")
	if query.Has("stream") {
		if stream, err = strconv.ParseBool(query.Get("stream")); err != nil {
			return invalid("stream", "stream must be true or false, not %q", query.Get("stream"))
		}
	}
	service, err := s.tuning()
	if err != nil {
		return err
	}
	id := chi.URLParam(r, "job_id")
	if stream {
		// A browser that was cut off names the last event it saw.
		after := cmp.Or(r.Header.Get("Last-Event-ID"), page.After)
		return s.streamEvents(w, r, service, id, after)
	}
	found, more, err := service.Events(r.Context(), owner(r), id, page)
	if err != nil {
		return missing(err, "fine-tuning job", id)
	}
	data := make([]eventObject, len(found))
	for i, e := range found {
		data[i] = eventOf(e)
	}
	writeJSON(w, http.StatusOK, newList(data, func(e eventObject) string { return e.ID }, more))
	return nil
}

// How often a stream without news says that it lives, and how soon it begins.
const (
	heartbeat      = 15 * time.Second
	firstHeartbeat = time.Second
)

// streamEvents sends events as they happen, and [DONE] after the last of a job
// that has ended. It is not bound by the time limit of requests, but ends when
// the server stops; who comes again after its last event has missed nothing.
func (s *Server) streamEvents(w http.ResponseWriter, r *http.Request, service *jobs.Service, id, after string) error {
	ctx, cancel := context.WithCancel(untimed(r))
	defer cancel()
	events, ended := make(chan jobs.Event), make(chan error, 1)
	go func() {
		ended <- service.Follow(ctx, owner(r), id, after, func(e jobs.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	late := lateStream{w: w}
	alive := time.NewTimer(firstHeartbeat)
	defer alive.Stop()
	for {
		var err error
		select {
		case e := <-events:
			err = late.sendAs(e.ID, eventOf(e))
		case <-alive.C:
			err = late.comment()
			alive.Reset(heartbeat)
		case err := <-ended:
			return late.end(r, missing(err, "fine-tuning job", id))
		case <-s.quit:
			err = pipeline.ErrClosed
		}
		if err != nil {
			cancel()
			<-ended
			return late.end(r, err)
		}
	}
}
