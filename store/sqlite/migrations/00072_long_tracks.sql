-- +goose Up
-- Tracks that reach into a span of time begin in it, or within an hour before, or are
-- one of the few here: without them all that began earlier would have to be read.
CREATE INDEX tracks_long ON tracks (camera_id, start_us, end_us, label, id) WHERE end_us - start_us > 3600000000;
