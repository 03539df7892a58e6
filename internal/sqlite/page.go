package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Page is a piece of a list.
type Page struct {
	After      string // id of the last item of the page before; empty: from the start
	Limit      int    // items at most
	Descending bool   // newest first
}

// ErrAfter refuses a page that goes on after something that is not in the list.
var ErrAfter = errors.New("after names nothing in this list")

// Select is a query of a list whose rows are in the order of their column seq.
type Select struct {
	Columns, Table string
	Where          string // of the whole list
	Args           []any  // of Where
}

// List reads a page of a list with scan, and says whether there are more behind
// it.
func List[T any](ctx context.Context, q Querier, s Select, p Page, scan func(scan func(...any) error) (T, error)) (list []T, more bool, err error) {
	direction, compare := "ASC", ">"
	if p.Descending {
		direction, compare = "DESC", "<"
	}
	where, args := s.Where, s.Args
	if p.After != "" {
		var after int64
		row := q.QueryRowContext(ctx, "SELECT seq FROM "+s.Table+" WHERE "+s.Where+" AND id = ?", slices.Concat(s.Args, []any{p.After})...)
		if err := row.Scan(&after); errors.Is(err, sql.ErrNoRows) {
			return nil, false, ErrAfter
		} else if err != nil {
			return nil, false, Failed(err)
		}
		where, args = where+" AND seq "+compare+" ?", slices.Concat(args, []any{after})
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM %s WHERE %s ORDER BY seq %s LIMIT %d",
		s.Columns, s.Table, where, direction, p.Limit+1), args...)
	if err != nil {
		return nil, false, Failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		item, err := scan(rows.Scan)
		if err != nil {
			return nil, false, Failed(err)
		}
		list = append(list, item)
	}
	if len(list) > p.Limit {
		list, more = list[:p.Limit], true
	}
	return list, more, Failed(rows.Err())
}
