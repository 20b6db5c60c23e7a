-- What the models of cameras did lately, for promotions that begin after a restart.
-- Bodies are JSON.

-- +goose Up
CREATE TABLE camera_baselines (
    camera_id TEXT PRIMARY KEY REFERENCES cameras (id) ON DELETE CASCADE,
    body      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
