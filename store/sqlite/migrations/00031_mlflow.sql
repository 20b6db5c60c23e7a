-- What clients of MLflow track. mlflow_texts holds tags and parameters of all
-- owners; an owner is a run, a logged model or an experiment. A metric's value is
-- NULL for NaN. Times end in _ms where the client gives them.

-- +goose Up
CREATE TABLE mlflow_experiments (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    root       TEXT NOT NULL, -- of its artifacts; '' for the usual place
    deleted    INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
INSERT INTO mlflow_experiments (id, name, root, deleted, created_us, updated_us) VALUES (0, 'Default', '', 0, 0, 0);

CREATE TABLE mlflow_runs (
    id            TEXT PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES mlflow_experiments (id),
    name          TEXT NOT NULL,
    user          TEXT NOT NULL,
    status        TEXT NOT NULL,
    start_ms      INTEGER NOT NULL,
    end_ms        INTEGER NOT NULL,
    deleted       INTEGER NOT NULL
) STRICT;
CREATE INDEX mlflow_runs_by_experiment ON mlflow_runs (experiment_id, start_ms, id);

CREATE TABLE mlflow_models (
    id            TEXT PRIMARY KEY,
    experiment_id INTEGER NOT NULL REFERENCES mlflow_experiments (id),
    name          TEXT NOT NULL,
    type          TEXT NOT NULL,
    run_id        TEXT NOT NULL,
    status        TEXT NOT NULL,
    message       TEXT NOT NULL,
    created_us    INTEGER NOT NULL,
    updated_us    INTEGER NOT NULL
) STRICT;
CREATE INDEX mlflow_models_by_experiment ON mlflow_models (experiment_id, created_us, id);

CREATE TABLE mlflow_texts (
    owner TEXT NOT NULL,
    kind  TEXT NOT NULL CHECK (kind IN ('tag', 'param')),
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE mlflow_metrics (
    id       INTEGER PRIMARY KEY,
    run_id   TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    REAL,
    time_ms  INTEGER NOT NULL,
    step     INTEGER NOT NULL,
    model_id TEXT NOT NULL, -- '' for the run's own
    dataset  TEXT NOT NULL,
    digest   TEXT NOT NULL
) STRICT;
CREATE INDEX mlflow_metrics_by_run ON mlflow_metrics (run_id, key, step, time_ms);
CREATE INDEX mlflow_metrics_by_model ON mlflow_metrics (model_id, key) WHERE model_id <> '';

CREATE TABLE mlflow_outputs (
    run_id   TEXT NOT NULL REFERENCES mlflow_runs (id),
    model_id TEXT NOT NULL,
    step     INTEGER NOT NULL,
    PRIMARY KEY (run_id, model_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE mlflow_artifacts (
    path       TEXT PRIMARY KEY,
    sha256     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    created_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX mlflow_artifacts_by_sha256 ON mlflow_artifacts (sha256);
