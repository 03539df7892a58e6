package api

import (
	"fmt"
	"regexp"
	"sync/atomic"
)

// catalog holds the models that the operator serves. The first one answers
// requests that name none. The zero value is empty.
type catalog struct{ models atomic.Pointer[[]Model] }

// modelID is what a model may be called: it stands in URLs.
var modelID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,255}$`)

func (c *catalog) set(models []Model) error {
	names := make(map[string]bool)
	for i, m := range models {
		if i > 0 && !modelID.MatchString(m.ID) { // the first one is called as its folder is
			return fmt.Errorf("a model cannot be called %q: names have letters, digits and . _ : -, and begin with a letter or digit", m.ID)
		}
		if names[m.ID] {
			return fmt.Errorf("there are two models called %q", m.ID)
		}
		names[m.ID] = true
	}
	c.models.Store(&models)
	return nil
}

func (c *catalog) list() []Model {
	if list := c.models.Load(); list != nil {
		return *list
	}
	return nil
}

// first is nil while there is none.
func (c *catalog) first() *Model {
	if list := c.list(); len(list) > 0 {
		return &list[0]
	}
	return nil
}

// find is the model of that name, or nil.
func (c *catalog) find(id string) *Model {
	list := c.list()
	for i := range list {
		if list[i].ID == id {
			return &list[i]
		}
	}
	return nil
}
