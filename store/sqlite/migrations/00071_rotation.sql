-- +goose Up
-- By how many degrees a camera's pictures are turned clockwise.
ALTER TABLE cameras ADD COLUMN rotation INTEGER NOT NULL DEFAULT 0 CHECK (rotation IN (0, 90, 180, 270));
