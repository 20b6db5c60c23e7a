-- +goose Up
-- Age at which recordings of events go; 0 takes the default of the settings.
ALTER TABLE cameras ADD COLUMN keep_events_us INTEGER NOT NULL DEFAULT 0;
