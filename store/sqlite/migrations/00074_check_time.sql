-- When the self-check of a version was made: it can be repeated. 0 where there is none.

-- +goose Up
ALTER TABLE model_versions ADD COLUMN checked_us INTEGER NOT NULL DEFAULT 0;
UPDATE model_versions SET checked_us = created_us WHERE self_check <> '';
