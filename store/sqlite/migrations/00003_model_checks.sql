-- What a version was derived from (JSON), what its self-check found (JSON), and
-- the blob of the picture that shows it; '' for none.

-- +goose Up
ALTER TABLE model_versions ADD COLUMN lineage TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN self_check TEXT NOT NULL DEFAULT '';
ALTER TABLE model_versions ADD COLUMN overlay TEXT NOT NULL DEFAULT '';
CREATE INDEX model_versions_by_overlay ON model_versions (overlay) WHERE overlay <> '';
