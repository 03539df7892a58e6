package store

import (
	"context"
	"encoding/json"
	"errors"

	"causerie/internal/sqlite"
)

// Completion is a chat completion that a client asked to store.
type Completion struct {
	ID       string
	Model    string
	Created  int64 // seconds since 1970
	Metadata map[string]string
	Body     json.RawMessage   // the answer, without metadata
	Messages []json.RawMessage // the question
}

// Filter chooses completions. Empty fields choose all.
type Filter struct {
	Model    string
	Metadata map[string]string // keys with their values, all of which must be there
}

// AddCompletion stores a completion.
func (s *Store) AddCompletion(ctx context.Context, owner string, c Completion) error {
	metadata, err := encodeMetadata(c.Metadata)
	if err != nil {
		return failed(err)
	}
	messages, err := encode(c.Messages)
	if err != nil {
		return failed(err)
	}
	_, err = s.db.ExecContext(ctx,
		`INSERT INTO completions (id, owner, model, created, metadata, body, messages) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		c.ID, owner, c.Model, c.Created, metadata, string(c.Body), messages)
	return failed(err)
}

const completionColumns = `id, model, created, metadata, body, messages`

func scanCompletion(scan func(...any) error) (Completion, error) {
	var c Completion
	var metadata, body, messages string
	if err := scan(&c.ID, &c.Model, &c.Created, &metadata, &body, &messages); err != nil {
		return c, err
	}
	c.Body = json.RawMessage(body)
	return c, errors.Join(json.Unmarshal([]byte(metadata), &c.Metadata), json.Unmarshal([]byte(messages), &c.Messages))
}

// Completion finds one by its id.
func (s *Store) Completion(ctx context.Context, owner, id string) (Completion, error) {
	row := s.db.QueryRowContext(ctx, `SELECT `+completionColumns+` FROM completions WHERE owner = ? AND id = ?`, owner, id)
	c, err := scanCompletion(row.Scan)
	return c, failed(err)
}

// Completions lists a page of those that fit the filter, and says whether there
// are more behind it.
func (s *Store) Completions(ctx context.Context, owner string, f Filter, p Page) (list []Completion, more bool, err error) {
	where, args := `owner = ?`, []any{owner}
	if f.Model != "" {
		where, args = where+` AND model = ?`, append(args, f.Model)
	}
	for key, value := range f.Metadata {
		where += ` AND EXISTS (SELECT 1 FROM json_each(completions.metadata) AS m WHERE m.key = ? AND m.value = ?)`
		args = append(args, key, value)
	}
	list, more, err = sqlite.List(ctx, s.db, sqlite.Select{Columns: completionColumns, Table: "completions", Where: where, Args: args}, p, scanCompletion)
	return list, more, failed(err)
}

// SetCompletionMetadata replaces a completion's metadata and returns it.
func (s *Store) SetCompletionMetadata(ctx context.Context, owner, id string, metadata map[string]string) (Completion, error) {
	text, err := encodeMetadata(metadata)
	if err != nil {
		return Completion{}, failed(err)
	}
	err = oneRow(s.db.ExecContext(ctx, `UPDATE completions SET metadata = ? WHERE owner = ? AND id = ?`, text, owner, id))
	if err != nil {
		return Completion{}, err
	}
	return s.Completion(ctx, owner, id)
}

// DeleteCompletion forgets a completion.
func (s *Store) DeleteCompletion(ctx context.Context, owner, id string) error {
	return oneRow(s.db.ExecContext(ctx, `DELETE FROM completions WHERE owner = ? AND id = ?`, owner, id))
}
