-- +goose Up
CREATE TABLE zone_maps (
    camera_id  TEXT PRIMARY KEY REFERENCES cameras (id) ON DELETE CASCADE,
    document   TEXT NOT NULL, -- JSON: zones, lines and masks
    revision   INTEGER NOT NULL,
    updated_us INTEGER NOT NULL
) STRICT;

-- What happened in a minute. An empty label stands for all labels together.
CREATE TABLE zone_counts (
    camera_id  TEXT NOT NULL REFERENCES cameras (id) ON DELETE CASCADE,
    start_us   INTEGER NOT NULL,
    zone_id    TEXT NOT NULL,
    label      TEXT NOT NULL,
    entered    INTEGER NOT NULL,
    exited     INTEGER NOT NULL,
    to_right   INTEGER NOT NULL,
    to_left    INTEGER NOT NULL,
    present_us INTEGER NOT NULL,
    most       INTEGER NOT NULL,
    watched_us INTEGER NOT NULL,
    PRIMARY KEY (camera_id, start_us, zone_id, label)
) STRICT, WITHOUT ROWID;
