package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"causerie/finetune/jobs"
	"causerie/models/gpt2"
	"causerie/models/lora"
)

// named returns the model that a request asks for: the operator's by name, the
// first of them when none is named, or one that a job of the same owner has
// made. What that one takes in memory stays until the request ends, also if the
// model is deleted meanwhile.
func (s *Server) named(r *http.Request, id string) (*Model, error) {
	base, err := s.ready()
	if err != nil || id == "" {
		return base, err
	}
	if m := s.catalog.find(id); m != nil {
		return m, nil
	}
	record, err := s.tuned(r, id)
	if err != nil {
		return nil, err
	}
	m, done, err := s.load(r.Context(), base, record)
	if err != nil {
		if _, gone := s.tuned(r, id); gone != nil {
			return nil, gone
		}
		return nil, fmt.Errorf("loading the model %s: %w", id, err)
	}
	context.AfterFunc(r.Context(), done) // which ends with the request
	return m, nil
}

// tuned is the record of a model that a job has made.
func (s *Server) tuned(r *http.Request, id string) (jobs.Model, error) {
	if s.options.Jobs != nil {
		record, err := s.options.Jobs.Model(r.Context(), owner(r), id)
		if !errors.Is(err, jobs.ErrNotFound) {
			return record, err
		}
	}
	return jobs.Model{}, s.unknownModel(r, id)
}

// load is a model that a job has made, in memory until done is called. An
// adapter of the model that is served shares its engine; everything else has an
// engine of its own.
func (s *Server) load(ctx context.Context, base *Model, record jobs.Model) (m *Model, done func(), err error) {
	made, done := *base, func() {}
	if record.Kind != jobs.LoRA || record.BaseFolder != base.Folder {
		folder := record.Folder
		if record.Kind == jobs.LoRA {
			folder = record.BaseFolder
		}
		engine, leave, err := s.options.Engines.Use(ctx, folder)
		if err != nil {
			return nil, nil, err
		}
		made, done = ModelOf(record.ID, record.Created, engine), leave
		made.Pooling, made.Truncate = base.Pooling, base.Truncate
	}
	if record.Kind != jobs.LoRA {
		return &made, done, nil
	}
	adapter, err := s.adapters.open(record.Folder, made.Shape)
	if err != nil {
		done()
		return nil, nil, err
	}
	made = made.Adapted(record.ID, record.Created, adapter)
	return &made, done, nil
}

// remove deletes a model that a job has made.
func (s *Server) remove(r *http.Request, record jobs.Model) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), deleteTime)
	defer cancel()
	if err := s.options.Jobs.DeleteModel(ctx, record.Owner, record.ID); err != nil {
		return err
	}
	s.options.Engines.Drop(record.Folder)
	s.adapters.drop(record.Folder)
	return nil
}

// tunedModels lists all that jobs of the owner have made, oldest first.
func (s *Server) tunedModels(r *http.Request) (list []jobs.Model, err error) {
	if s.options.Jobs == nil {
		return nil, nil
	}
	page := jobs.Page{Limit: somePages.most}
	for more := true; more; {
		var found []jobs.Model
		if found, more, err = s.options.Jobs.Models(r.Context(), owner(r), page); err != nil {
			return nil, err
		}
		list = append(list, found...)
		if more {
			page.After = found[len(found)-1].ID
		}
	}
	return list, nil
}

// maxNamed is how many fine-tuned models an error names.
const maxNamed = 8

// unknownModel says which models there are instead.
func (s *Server) unknownModel(r *http.Request, id string) error {
	var names []string
	for _, m := range s.catalog.list() {
		names = append(names, fmt.Sprintf("%q", m.ID))
	}
	if s.options.Jobs != nil {
		found, more, err := s.options.Jobs.Models(r.Context(), owner(r), jobs.Page{Limit: maxNamed, Descending: true})
		if err != nil {
			return err
		}
		for _, m := range found {
			names = append(names, fmt.Sprintf("%q", m.ID))
		}
		if more {
			names = append(names, "…")
		}
	}
	return &Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("the model %q does not exist; this server serves %s", id, strings.Join(names, ", ")),
	}
}

// maxAdapters is how many adapters of fine-tuned models stay in memory: a few
// hundred kilobytes each for a small base, a few megabytes for one of 124
// million parameters. Reading one anew takes milliseconds.
const maxAdapters = 64

// adapterCache holds the adapters that were used last, by folder. Requests that
// share one share batches and what is known of their prompts. The zero value is
// empty.
type adapterCache struct {
	mu       sync.Mutex
	byFolder map[string]*cachedAdapter
}

type cachedAdapter struct {
	*lora.Adapter
	used time.Time
}

// open is the adapter in a folder, for models of the shape.
func (c *adapterCache) open(folder string, shape gpt2.Config) (*lora.Adapter, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.byFolder[folder]
	if found == nil {
		adapter, err := lora.OpenDir(folder, shape)
		if err != nil {
			return nil, err
		}
		if c.byFolder == nil {
			c.byFolder = make(map[string]*cachedAdapter)
		}
		c.makeRoom()
		found = &cachedAdapter{Adapter: adapter}
		c.byFolder[folder] = found
	}
	found.used = time.Now()
	return found.Adapter, nil
}

func (c *adapterCache) makeRoom() {
	if len(c.byFolder) < maxAdapters {
		return
	}
	oldest := ""
	for folder, a := range c.byFolder {
		if oldest == "" || a.used.Before(c.byFolder[oldest].used) {
			oldest = folder
		}
	}
	delete(c.byFolder, oldest)
}

func (c *adapterCache) drop(folder string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byFolder, folder)
}
