package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"detectd/store"
)

// Seed fills a new database with essential records as they were, their numbers of
// versions and revisions included.
func (s *Store) Seed(ctx context.Context, e store.Essentials) error {
	for _, c := range e.Clients {
		if _, err := s.CreateClient(ctx, c); err != nil {
			return err
		}
	}
	for _, c := range e.Cameras {
		if _, err := s.CreateCamera(ctx, c); err != nil {
			return err
		}
	}
	for _, m := range e.Zones {
		if _, err := s.PutZoneMap(ctx, m, 0); err != nil {
			return err
		}
	}
	return s.write(ctx, "fill database", func(tx *sql.Tx) error {
		for _, m := range e.Models {
			if err := seedModel(ctx, tx, m); err != nil {
				return err
			}
		}
		for _, r := range e.Running {
			values, err := runningValues(r)
			if err != nil {
				return err
			}
			values = append(values, r.Revision, micros(r.UpdatedAt), r.UpdatedBy, r.Reason)
			const into = ` (` + runningColumns + `, updated_us, updated_by, reason`
			if _, err := tx.ExecContext(ctx, `INSERT INTO running_models`+into+`) VALUES (`+runningMarks+`)`, values...); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO running_model_revisions`+into+`, deleted) VALUES (`+runningMarks+`, 0)`, values...); err != nil {
				return err
			}
		}
		return nil
	})
}

func seedModel(ctx context.Context, tx *sql.Tx, m store.Model) error {
	newest := 0
	for _, v := range m.Versions {
		newest = max(newest, v.Version)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO models (name, description, last_version, created_us, updated_us, label) VALUES (?1, '', ?2, 0, 0, ?1)`, m.Name, newest)
	if err != nil {
		return err
	}
	for _, v := range m.Versions {
		_, err := tx.ExecContext(ctx, `INSERT INTO model_versions (model, version, sha256, size, family, licence, source, contract, created_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Model, v.Version, v.SHA256, v.Size, v.Family, v.Licence, v.Source, string(v.Contract), micros(v.CreatedAt))
		if err != nil {
			return err
		}
	}
	for _, alias := range slices.Sorted(maps.Keys(m.Aliases)) {
		_, err := tx.ExecContext(ctx, `INSERT INTO model_aliases (model, alias, version, updated_us) VALUES (?, ?, ?, 0)`, m.Name, alias, m.Aliases[alias])
		if err != nil {
			return err
		}
	}
	return nil
}
