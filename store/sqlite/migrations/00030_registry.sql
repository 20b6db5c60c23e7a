-- The registry people and their tools promote models in. label is the name by
-- which clients of MLflow know a model, kept says that it is registered also
-- without versions. model_tags with version 0 belong to the model itself.

-- +goose Up
ALTER TABLE models ADD COLUMN label TEXT NOT NULL DEFAULT '';
ALTER TABLE models ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
ALTER TABLE models ADD COLUMN revision INTEGER NOT NULL DEFAULT 1;
ALTER TABLE models ADD COLUMN updated_us INTEGER NOT NULL DEFAULT 0;
UPDATE models SET label = name, updated_us = created_us;
CREATE UNIQUE INDEX models_by_label ON models (label);

ALTER TABLE model_versions ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN updated_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE model_versions ADD COLUMN run_id TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN logged_model TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN stage TEXT NOT NULL DEFAULT '';
UPDATE model_versions SET updated_us = created_us;
CREATE INDEX model_versions_by_update ON model_versions (updated_us, model, version);
CREATE INDEX model_versions_by_family ON model_versions (model, family, licence);
CREATE INDEX model_versions_by_run ON model_versions (run_id) WHERE run_id <> '';

CREATE TABLE model_aliases (
    model      TEXT NOT NULL,
    alias      TEXT NOT NULL CHECK (alias <> ''),
    version    INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    PRIMARY KEY (model, alias),
    FOREIGN KEY (model, version) REFERENCES model_versions (model, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_aliases_by_version ON model_aliases (model, version);

CREATE TABLE model_tags (
    model   TEXT NOT NULL REFERENCES models (name),
    version INTEGER NOT NULL,
    key     TEXT NOT NULL CHECK (key <> ''),
    value   TEXT NOT NULL,
    PRIMARY KEY (model, version, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_tags_by_key ON model_tags (key, value);
