-- +goose Up
-- The size of all results without reading the boxes of whole videos.
CREATE INDEX results_by_size ON results (created_us, id, state, bytes);

-- +goose Down
DROP INDEX results_by_size;
