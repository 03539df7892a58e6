-- +goose Up
CREATE TABLE files (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of lists
    id       TEXT    NOT NULL UNIQUE,           -- the key in the bucket, too
    owner    TEXT    NOT NULL,
    filename TEXT    NOT NULL,
    purpose  TEXT    NOT NULL,
    bytes    INTEGER NOT NULL DEFAULT 0,
    created  INTEGER NOT NULL, -- seconds since 1970
    state    TEXT    NOT NULL  -- writing, ready or deleting
);
CREATE INDEX files_owner ON files (owner, state, seq);

-- +goose Down
DROP TABLE files;
