package store

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Page is a piece of a list.
type Page struct {
	After      string // id of the last item of the page before; empty: from the start
	Limit      int    // items at most
	Descending bool   // newest first
}

// ErrAfter refuses a page that goes on after something that is not in the list.
var ErrAfter = errors.New("store: after names nothing in this list")

// order is the SQL that goes on from the row number after in the page's order.
func (p Page) order(after int64) (where string, args []any, order string) {
	direction, compare := "ASC", ">"
	if p.Descending {
		direction, compare = "DESC", "<"
	}
	if p.After != "" {
		where, args = " AND seq "+compare+" ?", []any{after}
	}
	return where, args, fmt.Sprintf(" ORDER BY seq %s LIMIT %d", direction, p.Limit+1)
}

// cut ends a list that was read with one row more than the page holds.
func cut[T any](list []T, limit int) (page []T, more bool) {
	if len(list) > limit {
		return list[:limit], true
	}
	return list, false
}

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// encodeMetadata never writes null.
func encodeMetadata(m map[string]string) (string, error) {
	if m == nil {
		m = map[string]string{}
	}
	return encode(m)
}
