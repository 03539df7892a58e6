-- +goose Up
CREATE TABLE completions (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of lists
    id       TEXT    NOT NULL UNIQUE,
    owner    TEXT    NOT NULL,
    model    TEXT    NOT NULL,
    created  INTEGER NOT NULL, -- seconds since 1970
    metadata TEXT    NOT NULL, -- JSON object of strings
    body     TEXT    NOT NULL, -- JSON, as it was answered
    messages TEXT    NOT NULL  -- JSON array, as they were asked
);
CREATE INDEX completions_owner ON completions (owner, seq);

CREATE TABLE conversations (
    id       TEXT    PRIMARY KEY,
    owner    TEXT    NOT NULL,
    created  INTEGER NOT NULL,
    metadata TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE items (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT    NOT NULL UNIQUE,
    conversation TEXT    NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    role         TEXT    NOT NULL,
    parts        TEXT    NOT NULL -- JSON array of strings
);
CREATE INDEX items_conversation ON items (conversation, seq);

CREATE TABLE keys (
    id      TEXT    PRIMARY KEY,
    name    TEXT    NOT NULL,
    owner   TEXT    NOT NULL, -- whose things it opens
    hash    BLOB    NOT NULL UNIQUE, -- SHA-256 of the secret
    hint    TEXT    NOT NULL,        -- its first and last characters
    scopes  TEXT    NOT NULL,        -- separated by commas
    created INTEGER NOT NULL,
    revoked INTEGER                  -- NULL: in force
) WITHOUT ROWID;

-- +goose Down
DROP TABLE keys;
DROP TABLE items;
DROP TABLE conversations;
DROP TABLE completions;
