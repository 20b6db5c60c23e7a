-- +goose Up
-- Which time of a camera is accounted for: all of it lies in a segment or a gap.
CREATE TABLE ledgers (
    camera_id TEXT PRIMARY KEY REFERENCES cameras (id) ON DELETE CASCADE,
    from_us   INTEGER NOT NULL,
    until_us  INTEGER NOT NULL
) STRICT;

-- Spans of time without a recording, and why. Those of a camera do not overlap.
CREATE TABLE gaps (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    camera_id TEXT NOT NULL REFERENCES cameras (id) ON DELETE CASCADE,
    from_us   INTEGER NOT NULL,
    to_us     INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    detail    TEXT NOT NULL
) STRICT;
CREATE INDEX gaps_by_camera ON gaps (camera_id, to_us, id, from_us);
