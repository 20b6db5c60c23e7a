-- +goose Up
-- How the times of a row were obtained (rtcp, arrival, file; empty: not known) and
-- how far they may be off. Events with an empty clock have the machine's time.
ALTER TABLE tracks ADD COLUMN clock TEXT NOT NULL DEFAULT '';
ALTER TABLE tracks ADD COLUMN time_error_us INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN clock TEXT NOT NULL DEFAULT '';
ALTER TABLE events ADD COLUMN time_error_us INTEGER NOT NULL DEFAULT 0;
