-- Times are microseconds since 1970-01-01 UTC, 0 for none. Durations are microseconds.

-- +goose Up
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE clients (
    id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 63),
    name       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;

CREATE TABLE cameras (
    id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 63),
    client_id  TEXT NOT NULL REFERENCES clients (id),
    name       TEXT NOT NULL,
    url        TEXT NOT NULL,
    username   TEXT NOT NULL,
    password   TEXT NOT NULL,
    transport  TEXT NOT NULL,
    enabled    INTEGER NOT NULL,
    record     TEXT NOT NULL,
    detect_fps REAL NOT NULL,
    loop       INTEGER NOT NULL,
    demo       INTEGER NOT NULL,
    revision   INTEGER NOT NULL,
    created_us INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;
CREATE INDEX cameras_by_client ON cameras (client_id);

-- A model stays when its last version goes, so that numbers are not given twice.
CREATE TABLE models (
    name         TEXT PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 63),
    description  TEXT NOT NULL,
    last_version INTEGER NOT NULL,
    created_us   INTEGER NOT NULL
) STRICT;

CREATE TABLE model_versions (
    model      TEXT NOT NULL REFERENCES models (name),
    version    INTEGER NOT NULL CHECK (version > 0),
    sha256     TEXT NOT NULL,
    size       INTEGER NOT NULL,
    family     TEXT NOT NULL,
    licence    TEXT NOT NULL,
    source     TEXT NOT NULL,
    contract   TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (model, version),
    UNIQUE (model, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_versions_by_sha256 ON model_versions (sha256);

CREATE TABLE running_models (
    client_id  TEXT NOT NULL REFERENCES clients (id),
    camera_id  TEXT NOT NULL, -- '' for the client's own record
    model      TEXT NOT NULL REFERENCES models (name),
    version    INTEGER NOT NULL, -- 0 for the newest
    min_score  REAL NOT NULL,
    classes    TEXT NOT NULL, -- JSON array
    detect_fps REAL NOT NULL,
    revision   INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (client_id, camera_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX running_models_by_model ON running_models (model, version);

-- Every change of running_models, removals included. It outlives clients,
-- cameras and models, so nothing here refers to them.
CREATE TABLE running_model_revisions (
    client_id  TEXT NOT NULL,
    camera_id  TEXT NOT NULL,
    model      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    min_score  REAL NOT NULL,
    classes    TEXT NOT NULL,
    detect_fps REAL NOT NULL,
    revision   INTEGER NOT NULL,
    deleted    INTEGER NOT NULL,
    updated_us INTEGER NOT NULL,
    updated_by TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (client_id, camera_id, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE segments (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    camera_id     TEXT NOT NULL REFERENCES cameras (id),
    start_us      INTEGER NOT NULL,
    end_us        INTEGER NOT NULL,
    path          TEXT NOT NULL UNIQUE,
    bytes         INTEGER NOT NULL,
    frames        INTEGER NOT NULL,
    codec         TEXT NOT NULL,
    width         INTEGER NOT NULL,
    height        INTEGER NOT NULL,
    clock         TEXT NOT NULL,
    time_error_us INTEGER NOT NULL
) STRICT;
CREATE INDEX segments_by_camera ON segments (camera_id, start_us, id, end_us);
CREATE INDEX segments_by_start ON segments (start_us, id, end_us);

-- Files of media/ without a row in segments that are still to be removed.
CREATE TABLE garbage (
    path     TEXT PRIMARY KEY,
    added_us INTEGER NOT NULL
) STRICT;

CREATE TABLE tracks (
    id         TEXT PRIMARY KEY CHECK (id <> ''),
    camera_id  TEXT NOT NULL REFERENCES cameras (id) ON DELETE CASCADE,
    class_id   INTEGER NOT NULL,
    label      TEXT NOT NULL,
    start_us   INTEGER NOT NULL,
    end_us     INTEGER NOT NULL,
    ended      INTEGER NOT NULL,
    frames     INTEGER NOT NULL,
    best_score REAL NOT NULL,
    best_us    INTEGER NOT NULL,
    best_x     REAL NOT NULL,
    best_y     REAL NOT NULL,
    best_w     REAL NOT NULL,
    best_h     REAL NOT NULL,
    model      TEXT NOT NULL,
    version    INTEGER NOT NULL
) STRICT;
CREATE INDEX tracks_by_camera ON tracks (camera_id, start_us, id, end_us, label);
CREATE INDEX tracks_by_start ON tracks (start_us, id, end_us, label);

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time_us   INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    camera_id TEXT NOT NULL,
    client_id TEXT NOT NULL,
    message   TEXT NOT NULL,
    data      TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_time ON events (time_us, id);
CREATE INDEX events_by_camera ON events (camera_id, time_us, id);
CREATE INDEX events_by_kind ON events (kind, time_us, id);

CREATE TABLE results (
    id          TEXT PRIMARY KEY CHECK (id <> ''),
    kind        TEXT NOT NULL,
    camera_id   TEXT NOT NULL,
    name        TEXT NOT NULL,
    from_us     INTEGER NOT NULL,
    to_us       INTEGER NOT NULL,
    state       TEXT NOT NULL,
    progress    REAL NOT NULL,
    error       TEXT NOT NULL,
    mime        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    bytes       INTEGER NOT NULL,
    input       TEXT NOT NULL,
    detections  TEXT NOT NULL,
    model       TEXT NOT NULL,
    version     INTEGER NOT NULL,
    min_score   REAL NOT NULL,
    created_us  INTEGER NOT NULL,
    finished_us INTEGER NOT NULL
) STRICT;
CREATE INDEX results_by_time ON results (created_us, id);
CREATE INDEX results_by_camera ON results (camera_id, created_us, id);
CREATE INDEX results_unfinished ON results (created_us, id) WHERE state IN ('queued', 'running');
CREATE INDEX results_by_sha256 ON results (sha256);
CREATE INDEX results_by_input ON results (input);

-- Reports outlive their cameras and models.
CREATE TABLE report_hours (
    hour_us    INTEGER NOT NULL,
    camera_id  TEXT NOT NULL,
    model      TEXT NOT NULL,
    version    INTEGER NOT NULL,
    frames     INTEGER NOT NULL,
    inferences INTEGER NOT NULL,
    errors     INTEGER NOT NULL,
    drops      TEXT NOT NULL, -- JSON object: reason to count
    classes    TEXT NOT NULL, -- JSON object: label to count
    score_sum  REAL NOT NULL,
    latency    BLOB NOT NULL, -- the buckets of store.Histogram, little-endian uint32
    PRIMARY KEY (hour_us, camera_id, model, version)
) STRICT, WITHOUT ROWID;
