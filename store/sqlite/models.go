package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"detectd/store"
)

const selectVersions = `SELECT model, version, sha256, size, family, licence, source, contract, lineage, self_check, overlay, checked_us, created_us,
	description, run_id, logged_model, stage, updated_us,
	(SELECT json_group_array(alias) FROM model_aliases a WHERE a.model = v.model AND a.version = v.version),
	(SELECT json_group_object(key, value) FROM model_tags t WHERE t.model = v.model AND t.version = v.version)
	FROM model_versions v`

func scanVersion(r row) (v store.ModelVersion, err error) {
	var created, updated, checkedAt int64
	var contract, lineage, check, aliases, tags string
	err = r.Scan(&v.Model, &v.Version, &v.SHA256, &v.Size, &v.Family, &v.Licence, &v.Source, &contract, &lineage, &check, &v.Overlay, &checkedAt, &created,
		&v.Description, &v.RunID, &v.LoggedModel, &v.Stage, &updated, &aliases, &tags)
	if err == nil {
		err = errors.Join(unpack(aliases, &v.Aliases), unpack(tags, &v.Tags))
	}
	if checkedAt != 0 {
		v.CheckedAt = timeOf(checkedAt)
	}
	v.Contract, v.Lineage, v.Check, v.CreatedAt, v.UpdatedAt = raw(contract), raw(lineage), raw(check), timeOf(created), timeOf(updated)
	return v, err
}

// unpack reads a JSON array or object; an empty one stays nil.
func unpack(text string, into any) error {
	if text == "[]" || text == "{}" {
		return nil
	}
	return json.Unmarshal([]byte(text), into)
}

func versionNamed(model string, version int) string {
	if version == 0 {
		return fmt.Sprintf("model %q", model)
	}
	return fmt.Sprintf("model %q version %d", model, version)
}

func getVersion(ctx context.Context, q querier, model string, version int) (store.ModelVersion, error) {
	v, err := one(ctx, q, scanVersion, versionNamed(model, version),
		selectVersions+` WHERE model = ?1 AND (version = ?2 OR ?2 = 0) ORDER BY version DESC LIMIT 1`, model, version)
	if err != nil || version > 0 || !v.CheckFailed() {
		return v, err
	}
	sound, err := one(ctx, q, scanVersion, "", selectVersions+` WHERE model = ?1
		AND CASE WHEN json_valid(self_check) THEN coalesce(json_extract(self_check, '$.verdict'), '') ELSE '' END <> 'fail'
		ORDER BY version DESC LIMIT 1`, model)
	if errors.Is(err, store.ErrNotFound) {
		return v, nil
	}
	return sound, err
}

// AddModelVersion implements store.Models. A description that is not empty
// replaces the one the model has.
func (s *Store) AddModelVersion(ctx context.Context, m store.Model, v store.ModelVersion) (store.ModelVersion, error) {
	v.Model, v.CreatedAt, v.Aliases = m.Name, s.time(), nil
	v.UpdatedAt, v.CheckedAt = v.CreatedAt, time.Time{}
	if len(v.Check) > 0 {
		v.CheckedAt = v.CreatedAt
	}
	err := s.write(ctx, "add version of "+versionNamed(m.Name, 0), func(tx *sql.Tx) error {
		same, err := one(ctx, tx, scanVersion, "", selectVersions+` WHERE model = ? AND sha256 = ? AND contract = ?
			ORDER BY version DESC LIMIT 1`, m.Name, v.SHA256, string(v.Contract))
		if err == nil {
			v = same
			return fmt.Errorf("%s with this file and contract: %w", versionNamed(v.Model, v.Version), store.ErrExists)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		err = tx.QueryRowContext(ctx, `INSERT INTO models (name, description, last_version, created_us, updated_us, label)
			VALUES (?1, ?2, 1, ?3, ?3, CASE WHEN EXISTS (SELECT 1 FROM models WHERE label = ?1)
				THEN ?1 || '-' || lower(hex(randomblob(4))) ELSE ?1 END)
			ON CONFLICT (name) DO UPDATE SET last_version = last_version + 1, updated_us = excluded.updated_us,
				label = CASE WHEN label = 'deleted/' || name AND NOT EXISTS (SELECT 1 FROM models WHERE label = ?1) THEN name ELSE label END,
				description = CASE excluded.description WHEN '' THEN description ELSE excluded.description END
			RETURNING last_version`, m.Name, m.Description, micros(v.CreatedAt)).Scan(&v.Version)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO model_versions (model, version, sha256, size, family, licence, source, contract, lineage, self_check, overlay, checked_us, created_us,
			description, run_id, logged_model, stage, updated_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			v.Model, v.Version, v.SHA256, v.Size, v.Family, v.Licence, v.Source, string(v.Contract),
			string(v.Lineage), string(v.Check), v.Overlay, checkTime(v), micros(v.CreatedAt),
			v.Description, v.RunID, v.LoggedModel, v.Stage, micros(v.UpdatedAt))
		if err != nil {
			return err
		}
		return putModelTags(ctx, tx, v.Model, v.Version, v.Tags)
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return store.ModelVersion{}, err
	}
	return v, err
}

// checkTime is the time of a version's self-check as it is stored.
func checkTime(v store.ModelVersion) int64 {
	if v.CheckedAt.IsZero() {
		return 0
	}
	return micros(v.CheckedAt)
}

// ModelVersion implements store.Models.
func (s *Store) ModelVersion(ctx context.Context, model string, version int) (store.ModelVersion, error) {
	return s.version(wanted{model: model, version: version}, func() (store.ModelVersion, error) { return getVersion(ctx, s.r, model, version) })
}

// ListModels implements store.Models. Models whose versions have all been
// deleted are not listed.
func (s *Store) ListModels(ctx context.Context) ([]store.Model, error) {
	tx, err := s.r.BeginTx(ctx, &sql.TxOptions{ReadOnly: true}) // one view for both questions
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	defer func() { _ = tx.Rollback() }()
	versions, err := list(ctx, tx, scanVersion, "model versions", selectVersions+` ORDER BY model, version DESC`)
	if err != nil {
		return nil, err
	}
	of := map[string][]store.ModelVersion{}
	for _, v := range versions {
		of[v.Model] = append(of[v.Model], v)
	}
	return list(ctx, tx, func(r row) (store.Model, error) {
		m, err := scanModel(r)
		m.Versions = of[m.Name]
		return m, err
	}, "models", selectModels+` WHERE EXISTS (SELECT 1 FROM model_versions WHERE model = name) ORDER BY name`)
}

// DeleteModelVersion implements store.Models.
func (s *Store) DeleteModelVersion(ctx context.Context, model string, version int) error {
	what := versionNamed(model, version)
	return s.write(ctx, "delete "+what, func(tx *sql.Tx) error {
		newest, err := getVersion(ctx, tx, model, 0)
		if err != nil {
			return err
		}
		err = notRun(ctx, tx, what, `model = ? AND alias = '' AND (version = ? OR version = 0 AND ?)`, model, version, version == newest.Version)
		if err != nil {
			return err
		}
		if err := notNamed(ctx, tx, model, version); err != nil {
			return err
		}
		if err := notPromoted(ctx, tx, model, version); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM model_tags WHERE model = ? AND version = ? AND version > 0`, model, version); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `DELETE FROM model_versions WHERE model = ? AND version = ?`, model, version)
		if err != nil {
			return err
		}
		return requireRow(done, what)
	})
}

// requireRow makes a change that met no row ErrNotFound.
func requireRow(done sql.Result, what string) error {
	n, err := done.RowsAffected()
	if err == nil && n == 0 {
		return notFound(what)
	}
	return err
}
