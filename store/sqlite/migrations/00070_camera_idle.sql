-- +goose Up
-- What a camera is spared while nothing moves; empty takes the settings'.
ALTER TABLE cameras ADD COLUMN idle TEXT NOT NULL DEFAULT '' CHECK (idle IN ('', 'auto', 'decode', 'off'));
