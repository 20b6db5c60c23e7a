-- +goose Up
-- Whether a camera's sound is left out, and the sound of recorded files.
ALTER TABLE cameras ADD COLUMN no_audio INTEGER NOT NULL DEFAULT 0 CHECK (no_audio IN (0, 1));
ALTER TABLE segments ADD COLUMN audio TEXT NOT NULL DEFAULT '';
ALTER TABLE segments ADD COLUMN audio_us INTEGER NOT NULL DEFAULT 0;
