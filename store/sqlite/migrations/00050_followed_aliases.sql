-- A running model may name an alias, whose version it then follows; '' for none.
-- Every move of an alias stays readable: who, when, why, from which version to
-- which; 0 for none. It outlives models, so nothing here refers to them.

-- +goose Up
ALTER TABLE running_models ADD COLUMN alias TEXT NOT NULL DEFAULT '';
ALTER TABLE running_model_revisions ADD COLUMN alias TEXT NOT NULL DEFAULT '';

CREATE TABLE model_alias_moves (
    id           INTEGER PRIMARY KEY,
    model        TEXT NOT NULL,
    alias        TEXT NOT NULL,
    from_version INTEGER NOT NULL,
    to_version   INTEGER NOT NULL,
    moved_us     INTEGER NOT NULL,
    moved_by     TEXT NOT NULL,
    reason       TEXT NOT NULL
) STRICT;
CREATE INDEX model_alias_moves_by_alias ON model_alias_moves (model, alias, id);
INSERT INTO model_alias_moves (model, alias, from_version, to_version, moved_us, moved_by, reason)
    SELECT model, alias, 0, version, updated_us, '', 'named before moves were kept' FROM model_aliases;
