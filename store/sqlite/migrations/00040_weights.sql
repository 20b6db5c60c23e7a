-- +goose Up
-- What a camera's detections count when there are too many; 0 counts as 1.
ALTER TABLE cameras ADD COLUMN weight REAL NOT NULL DEFAULT 0;
