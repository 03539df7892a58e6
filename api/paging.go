package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"causerie/api/store"
)

// pages are how long the pages of a list are.
type pages struct{ usual, most int }

// somePages are those of most lists.
var somePages = pages{usual: 20, most: 100}

// readPage reads the query of a list with pages of the usual length.
func readPage(r *http.Request, descending bool, others ...string) (store.Page, url.Values, error) {
	return somePages.read(r, descending, others...)
}

// read reads the query of a list: after, limit and order, plus the names in
// others, which the caller reads. metadata stands for metadata[KEY] of any key.
func (l pages) read(r *http.Request, descending bool, others ...string) (store.Page, url.Values, error) {
	p := store.Page{Limit: l.usual, Descending: descending}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return p, nil, invalid("", "the query of the URL cannot be read: %v", err)
	}
	for name, values := range query {
		base, _, _ := strings.Cut(name, "[")
		if !slices.Contains(others, base) && !slices.Contains([]string{"after", "limit", "order"}, name) {
			e := invalid(name, "%s is not a query parameter that this server knows", name)
			e.Code = "unknown_parameter"
			return p, nil, e
		}
		if len(values) > 1 {
			return p, nil, invalid(name, "%s is given %d times", name, len(values))
		}
	}
	p.After = query.Get("after")
	if query.Has("limit") {
		p.Limit, err = strconv.Atoi(query.Get("limit"))
		if err != nil || p.Limit < 1 || p.Limit > l.most {
			return p, nil, invalid("limit", "limit must lie between 1 and %d, not %q", l.most, query.Get("limit"))
		}
	}
	switch order := query.Get("order"); order {
	case "asc":
		p.Descending = false
	case "desc":
		p.Descending = true
	case "":
	default:
		return p, nil, invalid("order", "order must be \"asc\" or \"desc\", not %q", order)
	}
	return p, query, nil
}

// list is a page in OpenAI's form.
type list[T any] struct {
	Object  string  `json:"object"`
	Data    []T     `json:"data"`
	FirstID *string `json:"first_id"`
	LastID  *string `json:"last_id"`
	HasMore bool    `json:"has_more"`
}

func newList[T any](data []T, id func(T) string, more bool) list[T] {
	l := list[T]{Object: "list", Data: data, HasMore: more}
	if len(data) == 0 {
		l.Data = []T{} // not null
		return l
	}
	l.FirstID, l.LastID = new(id(data[0])), new(id(data[len(data)-1]))
	return l
}
