-- A version of a model is a file and a contract: the same file may be there again, read
-- in another way. SQLite cannot drop UNIQUE (model, sha256) but with the table, and other
-- tables refer to it, so that foreign keys are off meanwhile, which a transaction forbids.

-- +goose NO TRANSACTION
-- +goose Up
PRAGMA foreign_keys = OFF;
BEGIN IMMEDIATE;
CREATE TABLE new_model_versions (
    model        TEXT NOT NULL REFERENCES models (name),
    version      INTEGER NOT NULL CHECK (version > 0),
    sha256       TEXT NOT NULL,
    size         INTEGER NOT NULL,
    family       TEXT NOT NULL,
    licence      TEXT NOT NULL,
    source       TEXT NOT NULL,
    contract     TEXT NOT NULL,
    created_us   INTEGER NOT NULL,
    lineage      TEXT NOT NULL DEFAULT '',
    self_check   TEXT NOT NULL DEFAULT '',
    overlay      TEXT NOT NULL DEFAULT '',
    description  TEXT NOT NULL DEFAULT '',
    updated_us   INTEGER NOT NULL DEFAULT 0,
    run_id       TEXT NOT NULL DEFAULT '',
    logged_model TEXT NOT NULL DEFAULT '',
    stage        TEXT NOT NULL DEFAULT '',
    checked_us   INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (model, version)
) STRICT, WITHOUT ROWID;
INSERT INTO new_model_versions (model, version, sha256, size, family, licence, source, contract, created_us,
        lineage, self_check, overlay, description, updated_us, run_id, logged_model, stage, checked_us)
    SELECT model, version, sha256, size, family, licence, source, contract, created_us,
        lineage, self_check, overlay, description, updated_us, run_id, logged_model, stage, checked_us FROM model_versions;
DROP TABLE model_versions;
ALTER TABLE new_model_versions RENAME TO model_versions;
CREATE INDEX model_versions_by_sha256 ON model_versions (sha256);
CREATE INDEX model_versions_of_model_by_sha256 ON model_versions (model, sha256);
CREATE INDEX model_versions_by_overlay ON model_versions (overlay) WHERE overlay <> '';
CREATE INDEX model_versions_by_family ON model_versions (model, family, licence);
CREATE INDEX model_versions_by_run ON model_versions (run_id) WHERE run_id <> '';
CREATE INDEX model_versions_by_stage ON model_versions (model, stage, version);
CREATE INDEX model_versions_by_update ON model_versions (updated_us DESC, model, version DESC);
CREATE INDEX model_versions_of_model_by_update ON model_versions (model, updated_us, version);
COMMIT;
PRAGMA foreign_keys = ON;
