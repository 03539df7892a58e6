-- +goose Up
CREATE TABLE jobs (
    seq              INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of lists and of training
    id               TEXT    NOT NULL UNIQUE,
    owner            TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    model            TEXT    NOT NULL, -- the base's name
    base             TEXT    NOT NULL, -- and where it is
    training_file    TEXT    NOT NULL,
    validation_file  TEXT    NOT NULL,
    result_file      TEXT    NOT NULL, -- the id that the result file has, or will have
    method           TEXT    NOT NULL, -- JSON
    suffix           TEXT    NOT NULL,
    seed             INTEGER NOT NULL,
    metadata         TEXT    NOT NULL, -- JSON object of strings
    plan             TEXT    NOT NULL DEFAULT '', -- JSON: how to train, once the data are known
    created          INTEGER NOT NULL, -- seconds since 1970, as all times
    finished         INTEGER NOT NULL DEFAULT 0,
    estimated_finish INTEGER NOT NULL DEFAULT 0,
    trained_tokens   INTEGER NOT NULL DEFAULT 0,
    step             INTEGER NOT NULL DEFAULT 0,
    steps            INTEGER NOT NULL DEFAULT 0,
    fine_tuned_model TEXT    NOT NULL DEFAULT '',
    error            TEXT    NOT NULL DEFAULT '', -- JSON
    work             INTEGER NOT NULL DEFAULT 0   -- the job's latest row in River's table
);
CREATE INDEX jobs_owner ON jobs (owner, seq);
CREATE INDEX jobs_status ON jobs (status);

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL UNIQUE,
    job     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    level   TEXT    NOT NULL,
    message TEXT    NOT NULL,
    type    TEXT    NOT NULL,
    data    TEXT    NOT NULL, -- JSON, or empty
    step    INTEGER NOT NULL  -- of metrics: the step they belong to; or -1
);
CREATE INDEX events_job ON events (job, seq);
CREATE INDEX events_step ON events (job, step);

CREATE TABLE checkpoints (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL UNIQUE,
    job     TEXT    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    created INTEGER NOT NULL,
    step    INTEGER NOT NULL,
    model   TEXT    NOT NULL UNIQUE REFERENCES models (id) ON DELETE CASCADE,
    metrics TEXT    NOT NULL, -- JSON
    UNIQUE (job, step)
);

CREATE TABLE models (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL UNIQUE,
    owner   TEXT    NOT NULL,
    kind    TEXT    NOT NULL,
    base    TEXT    NOT NULL, -- its name
    path    TEXT    NOT NULL, -- and where it is
    folder  TEXT    NOT NULL UNIQUE, -- in the folder of models
    created INTEGER NOT NULL,
    job     TEXT    NOT NULL,
    step    INTEGER NOT NULL
);
CREATE INDEX models_owner ON models (owner, seq);

-- +goose Down
DROP TABLE checkpoints;
DROP TABLE models;
DROP TABLE events;
DROP TABLE jobs;
