package api

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// catalog holds the models by name: the one that the server was started with,
// which answers requests that name none, and any number beside it. A request
// keeps the model that it was given, so one that is removed meanwhile stays
// valid for it. The zero value is empty.
type catalog struct {
	mu   sync.RWMutex
	base *Model
	more map[string]*Model
}

// modelID is what a model may be called: it stands in URLs.
var modelID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$`)

func (c *catalog) first() *Model {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.base
}

// set makes a model the first, with others beside it, at once.
func (c *catalog) set(base Model, more []Model) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.more[base.ID] != nil {
		return twice(base.ID)
	}
	all := &catalog{base: &base, more: maps.Clone(c.more)}
	for i := range more {
		if err := all.add(&more[i]); err != nil {
			return err
		}
	}
	c.base, c.more = all.base, all.more
	return nil
}

func twice(id string) error { return fmt.Errorf("there are two models called %q", id) }

func (c *catalog) add(m *Model) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !modelID.MatchString(m.ID):
		return fmt.Errorf("a model cannot be called %q: names have letters, digits and . _ : -, and begin with a letter or digit", m.ID)
	case c.more[m.ID] != nil, c.base != nil && c.base.ID == m.ID:
		return twice(m.ID)
	}
	if c.more == nil {
		c.more = make(map[string]*Model)
	}
	c.more[m.ID] = m
	return nil
}

// find is the model of that name, if the owner may use it.
func (c *catalog) find(owner, id string) (*Model, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	m := c.more[id]
	if c.base != nil && c.base.ID == id {
		m = c.base
	}
	return m, m != nil && m.visible(owner)
}

// remove forgets a model and reports whether it was there.
func (c *catalog) remove(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.more[id]
	delete(c.more, id)
	return ok
}

// list is what the owner may use: the server's own model first, then the others
// in the order of their making.
func (c *catalog) list(owner string) []*Model {
	c.mu.RLock()
	defer c.mu.RUnlock()
	more := slices.Collect(maps.Values(c.more))
	more = slices.DeleteFunc(more, func(m *Model) bool { return !m.visible(owner) })
	slices.SortFunc(more, func(a, b *Model) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	if c.base != nil {
		more = slices.Insert(more, 0, c.base)
	}
	return more
}

// maxNamed is how many models an error names.
const maxNamed = 8

// unknown says which models there are instead.
func (c *catalog) unknown(owner, id string) error {
	var names []string
	for _, m := range c.list(owner) {
		if len(names) == maxNamed {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprintf("%q", m.ID))
	}
	return &Error{
		Status: http.StatusNotFound, Type: "invalid_request_error", Param: "model", Code: "model_not_found",
		Message: fmt.Sprintf("the model %q does not exist; this server serves %s", id, strings.Join(names, ", ")),
	}
}
