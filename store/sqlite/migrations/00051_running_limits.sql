-- What else a running model says: limits per label (JSON objects), the rate while
-- objects move fast, the zones that detections are wanted in (a JSON array), and
-- the execution provider. 0 and '' leave it to the level below.

-- +goose Up
ALTER TABLE running_models ADD COLUMN min_scores TEXT NOT NULL DEFAULT '{}';
ALTER TABLE running_models ADD COLUMN nms_iou REAL NOT NULL DEFAULT 0;
ALTER TABLE running_models ADD COLUMN nms_ious TEXT NOT NULL DEFAULT '{}';
ALTER TABLE running_models ADD COLUMN fast_fps REAL NOT NULL DEFAULT 0;
ALTER TABLE running_models ADD COLUMN zones TEXT NOT NULL DEFAULT '[]';
ALTER TABLE running_models ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE running_model_revisions ADD COLUMN min_scores TEXT NOT NULL DEFAULT '{}';
ALTER TABLE running_model_revisions ADD COLUMN nms_iou REAL NOT NULL DEFAULT 0;
ALTER TABLE running_model_revisions ADD COLUMN nms_ious TEXT NOT NULL DEFAULT '{}';
ALTER TABLE running_model_revisions ADD COLUMN fast_fps REAL NOT NULL DEFAULT 0;
ALTER TABLE running_model_revisions ADD COLUMN zones TEXT NOT NULL DEFAULT '[]';
ALTER TABLE running_model_revisions ADD COLUMN provider TEXT NOT NULL DEFAULT '';
