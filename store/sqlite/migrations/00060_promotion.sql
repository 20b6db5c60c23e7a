-- What was measured of model versions, the rules that aliases are moved by, and
-- promotions: versions on their way to the cameras. Bodies are JSON.

-- +goose Up
CREATE TABLE model_measurements (
    id       INTEGER PRIMARY KEY,
    model    TEXT NOT NULL,
    version  INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('accuracy', 'speed')),
    dataset  TEXT NOT NULL, -- '' for speed
    machine  TEXT NOT NULL,
    provider TEXT NOT NULL,
    time_us  INTEGER NOT NULL,
    body     TEXT NOT NULL,
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version) ON DELETE CASCADE
) STRICT;
CREATE INDEX model_measurements_by_version ON model_measurements (model, version, kind, dataset, machine, id);

CREATE TABLE alias_gates (
    model      TEXT NOT NULL REFERENCES models (name),
    alias      TEXT NOT NULL CHECK (alias <> ''),
    rules      TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (model, alias)
) STRICT, WITHOUT ROWID;

-- A promotion outlives its client and its version once it has ended.
CREATE TABLE promotions (
    id         TEXT PRIMARY KEY CHECK (id <> ''),
    model      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    alias      TEXT NOT NULL, -- '' for none
    client_id  TEXT NOT NULL,
    state      TEXT NOT NULL,
    active     INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    body       TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX promotions_of_client ON promotions (client_id) WHERE active = 1;
CREATE UNIQUE INDEX promotions_of_alias ON promotions (model, alias) WHERE active = 1 AND alias <> '';
CREATE INDEX promotions_by_model ON promotions (model, created_us, id);
CREATE INDEX promotions_by_time ON promotions (created_us, id);
