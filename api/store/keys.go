package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"strings"
	"time"
)

// Key is an API key without its secret, of which only a hash is kept.
type Key struct {
	ID      string
	Name    string // for people
	Owner   string // whose things it opens; several keys may have one owner
	Hint    string // the secret's start and end, for a person to tell keys apart
	Scopes  []string
	Created time.Time
	Revoked time.Time // zero: in force
}

// keyPrefix begins every secret, so that scanners for leaked secrets find it.
const keyPrefix = "sk-causerie-"

// AddKey makes a key, which is its own owner unless one is named. The secret is
// returned here and never again.
func (s *Store) AddKey(ctx context.Context, name, owner string, scopes []string) (Key, string, error) {
	secret := keyPrefix + rand.Text() + rand.Text() // over 256 random bits: a fast hash is enough
	k := Key{
		ID: "key_" + rand.Text(), Name: name, Owner: owner, Scopes: scopes, Created: time.Now().Truncate(time.Second),
		Hint: secret[:len(keyPrefix)+3] + "…" + secret[len(secret)-4:],
	}
	if k.Owner == "" {
		k.Owner = k.ID
	}
	_, err := s.db.ExecContext(ctx, `INSERT INTO keys (id, name, owner, hash, hint, scopes, created) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		k.ID, k.Name, k.Owner, hash(secret), k.Hint, strings.Join(k.Scopes, ","), k.Created.Unix())
	return k, secret, failed(err)
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

const keyColumns = `id, name, owner, hint, scopes, created, revoked`

func scanKey(scan func(...any) error) (Key, error) {
	var k Key
	var scopes string
	var created int64
	var revoked sql.NullInt64
	if err := scan(&k.ID, &k.Name, &k.Owner, &k.Hint, &scopes, &created, &revoked); err != nil {
		return k, err
	}
	k.Scopes, k.Created = strings.Split(scopes, ","), time.Unix(created, 0)
	if revoked.Valid {
		k.Revoked = time.Unix(revoked.Int64, 0)
	}
	return k, nil
}

// KeyBySecret finds a key that is in force. The look-up is by the hash, so its
// time says nothing about a secret that is nearly right.
func (s *Store) KeyBySecret(ctx context.Context, secret string) (Key, error) {
	row := s.db.QueryRowContext(ctx, `SELECT `+keyColumns+` FROM keys WHERE hash = ? AND revoked IS NULL`, hash(secret))
	k, err := scanKey(row.Scan)
	return k, failed(err)
}

// Keys lists all keys, oldest first, the revoked ones too.
func (s *Store) Keys(ctx context.Context) (list []Key, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+keyColumns+` FROM keys ORDER BY created, id`)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		k, err := scanKey(rows.Scan)
		if err != nil {
			return nil, failed(err)
		}
		list = append(list, k)
	}
	return list, failed(rows.Err())
}

// RevokeKey ends a key. What it owns stays.
func (s *Store) RevokeKey(ctx context.Context, id string) error {
	return oneRow(s.db.ExecContext(ctx, `UPDATE keys SET revoked = ? WHERE id = ? AND revoked IS NULL`, time.Now().Unix(), id))
}
