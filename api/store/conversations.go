package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"causerie/internal/sqlite"
)

// Conversation is a list of messages that the server keeps.
type Conversation struct {
	ID       string
	Created  int64 // seconds since 1970
	Metadata map[string]string
}

// MaxItems is how many items a conversation can hold: more than any model here
// reads, and few enough to read them all at once.
const MaxItems = 4096

// Item is a message of a conversation.
type Item struct {
	ID    string
	Role  string
	Parts []string // of its text
}

// AddConversation stores a conversation and its first items.
func (s *Store) AddConversation(ctx context.Context, owner string, c Conversation, items []Item) error {
	metadata, err := encodeMetadata(c.Metadata)
	if err != nil {
		return failed(err)
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO conversations (id, owner, created, metadata) VALUES (?, ?, ?, ?)`,
			c.ID, owner, c.Created, metadata)
		if err != nil {
			return err
		}
		return insertItems(ctx, tx, c.ID, items)
	})
}

func insertItems(ctx context.Context, tx *sql.Tx, conversation string, items []Item) error {
	for _, item := range items {
		parts, err := encode(item.Parts)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO items (id, conversation, role, parts) VALUES (?, ?, ?, ?)`,
			item.ID, conversation, item.Role, parts)
		if err != nil {
			return err
		}
	}
	return nil
}

// querier is a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Conversation finds one by its id.
func (s *Store) Conversation(ctx context.Context, owner, id string) (Conversation, error) {
	return findConversation(ctx, s.db, owner, id)
}

func findConversation(ctx context.Context, q querier, owner, id string) (Conversation, error) {
	c := Conversation{ID: id}
	var metadata string
	err := q.QueryRowContext(ctx, `SELECT created, metadata FROM conversations WHERE owner = ? AND id = ?`, owner, id).
		Scan(&c.Created, &metadata)
	if err != nil {
		return c, failed(err)
	}
	return c, failed(json.Unmarshal([]byte(metadata), &c.Metadata))
}

// SetConversationMetadata replaces a conversation's metadata and returns it.
func (s *Store) SetConversationMetadata(ctx context.Context, owner, id string, metadata map[string]string) (Conversation, error) {
	text, err := encodeMetadata(metadata)
	if err != nil {
		return Conversation{}, failed(err)
	}
	err = oneRow(s.db.ExecContext(ctx, `UPDATE conversations SET metadata = ? WHERE owner = ? AND id = ?`, text, owner, id))
	if err != nil {
		return Conversation{}, err
	}
	return s.Conversation(ctx, owner, id)
}

// DeleteConversation forgets a conversation with all its items.
func (s *Store) DeleteConversation(ctx context.Context, owner, id string) error {
	return oneRow(s.db.ExecContext(ctx, `DELETE FROM conversations WHERE owner = ? AND id = ?`, owner, id))
}

// AddItems appends items to a conversation, all or none.
func (s *Store) AddItems(ctx context.Context, owner, conversation string, items []Item) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := findConversation(ctx, tx, owner, conversation); err != nil {
			return err
		}
		var there int
		row := tx.QueryRowContext(ctx, `SELECT count(*) FROM items WHERE conversation = ?`, conversation)
		if err := row.Scan(&there); err != nil {
			return err
		}
		if there+len(items) > MaxItems {
			return ErrTooMany
		}
		return insertItems(ctx, tx, conversation, items)
	})
}

// Items lists a page of a conversation's items, and says whether there are more
// behind it.
func (s *Store) Items(ctx context.Context, owner, conversation string, p Page) (list []Item, more bool, err error) {
	if _, err := s.Conversation(ctx, owner, conversation); err != nil {
		return nil, false, err
	}
	list, more, err = sqlite.List(ctx, s.db, sqlite.Select{
		Columns: "id, role, parts", Table: "items", Where: "conversation = ?", Args: []any{conversation},
	}, p, scanItem)
	return list, more, failed(err)
}

func scanItem(scan func(...any) error) (Item, error) {
	var item Item
	var parts string
	if err := scan(&item.ID, &item.Role, &parts); err != nil {
		return item, err
	}
	return item, json.Unmarshal([]byte(parts), &item.Parts)
}

// Item finds an item of a conversation.
func (s *Store) Item(ctx context.Context, owner, conversation, id string) (Item, error) {
	row := s.db.QueryRowContext(ctx, `SELECT items.id, role, parts FROM items JOIN conversations ON conversations.id = conversation
		WHERE owner = ? AND conversation = ? AND items.id = ?`, owner, conversation, id)
	item, err := scanItem(row.Scan)
	return item, failed(err)
}

// DeleteItem takes an item out of a conversation.
func (s *Store) DeleteItem(ctx context.Context, owner, conversation, id string) error {
	return oneRow(s.db.ExecContext(ctx, `DELETE FROM items WHERE id = ? AND conversation IN
		(SELECT id FROM conversations WHERE owner = ? AND id = ?)`, id, owner, conversation))
}
