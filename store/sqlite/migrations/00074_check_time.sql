-- When the self-check of a version was made: it can be repeated. 0 where there is none.

-- +goose Up
ALTER TABLE model_versions ADD COLUMN checked_us INTEGER NOT NULL DEFAULT 0;
UPDATE model_versions SET checked_us = created_us WHERE self_check <> '';

-- What runs of MLflow were given: data sets by name and digest, and logged models.
CREATE TABLE mlflow_inputs (
    run_id   TEXT NOT NULL REFERENCES mlflow_runs (id),
    model_id TEXT NOT NULL, -- '' for a data set
    name     TEXT NOT NULL,
    digest   TEXT NOT NULL,
    body     TEXT NOT NULL, -- JSON
    PRIMARY KEY (run_id, model_id, name, digest)
) STRICT, WITHOUT ROWID;

-- Versions of a model by stage and by time, as clients of MLflow ask for them.
CREATE INDEX model_versions_by_stage ON model_versions (model, stage, version);
DROP INDEX model_versions_by_update;
CREATE INDEX model_versions_by_update ON model_versions (updated_us DESC, model, version DESC);
CREATE INDEX model_versions_of_model_by_update ON model_versions (model, updated_us, version);
