-- +goose Up
-- What of a camera is kept; 0 takes the default of the settings.
ALTER TABLE cameras ADD COLUMN record_before_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cameras ADD COLUMN record_after_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cameras ADD COLUMN keep_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE cameras ADD COLUMN keep_bytes INTEGER NOT NULL DEFAULT 0;

-- Spans of time whose recordings are never deleted by age, size or space.
CREATE TABLE keeps (
    camera_id  TEXT NOT NULL REFERENCES cameras (id) ON DELETE CASCADE,
    id         TEXT NOT NULL CHECK (length(id) BETWEEN 1 AND 63),
    from_us    INTEGER NOT NULL,
    to_us      INTEGER NOT NULL,
    note       TEXT NOT NULL,
    created_us INTEGER NOT NULL,
    PRIMARY KEY (camera_id, id)
) STRICT, WITHOUT ROWID;
