package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"detectd/store"
)

const selectModels = `SELECT name, description, label, revision, created_us, updated_us,
	(SELECT json_group_object(alias, version) FROM model_aliases a WHERE a.model = name),
	(SELECT json_group_object(key, value) FROM model_tags t WHERE t.model = name AND t.version = 0),
	(SELECT count(*) FROM model_versions v WHERE v.model = name)
	FROM models m`

// registered is true for the models that are there for people.
const registered = `(kept OR EXISTS (SELECT 1 FROM model_versions WHERE model = name))`

func scanModel(r row) (m store.Model, err error) {
	var created, updated int64
	var aliases, tags string
	err = r.Scan(&m.Name, &m.Description, &m.Label, &m.Revision, &created, &updated, &aliases, &tags, &m.Count)
	m.CreatedAt, m.UpdatedAt = timeOf(created), timeOf(updated)
	if err == nil {
		err = errors.Join(unpack(aliases, &m.Aliases), unpack(tags, &m.Tags))
	}
	return m, err
}

// CreateModel implements store.Registry. A model that was deleted comes back
// under its name, and its numbers go on.
func (s *Store) CreateModel(ctx context.Context, m store.Model) (store.Model, error) {
	if m.Label == "" {
		m.Label = m.Name
	}
	what := versionNamed(m.Label, 0)
	err := s.write(ctx, "create "+what, func(tx *sql.Tx) error {
		var taken bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM models WHERE (name = ? OR label = ?) AND `+registered+`)`, m.Name, m.Label).Scan(&taken)
		if err != nil {
			return err
		}
		if taken {
			return exists(what)
		}
		// Labels of what was deleted are free.
		if _, err := tx.ExecContext(ctx, `UPDATE models SET label = 'deleted/' || name WHERE label = ? AND name <> ?`, m.Label, m.Name); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO models (name, description, last_version, created_us, updated_us, label, kept)
			VALUES (?1, ?2, 0, ?3, ?3, ?4, 1)
			ON CONFLICT (name) DO UPDATE SET description = ?2, created_us = ?3, updated_us = ?3, label = ?4, kept = 1, revision = revision + 1`,
			m.Name, m.Description, micros(s.time()), m.Label)
		if err != nil {
			return err
		}
		if err := putModelTags(ctx, tx, m.Name, 0, m.Tags); err != nil {
			return err
		}
		m, err = getModel(ctx, tx, m.Name, false)
		return err
	})
	return m, err
}

func getModel(ctx context.Context, q querier, name string, label bool) (store.Model, error) {
	column := "name"
	if label {
		column = "label"
	}
	return one(ctx, q, scanModel, versionNamed(name, 0), selectModels+` WHERE `+column+` = ? AND `+registered, name)
}

// Model implements store.Registry.
func (s *Store) Model(ctx context.Context, name string, label bool) (store.Model, error) {
	return getModel(ctx, s.r, name, label)
}

// ChangeModel implements store.Registry.
func (s *Store) ChangeModel(ctx context.Context, name string, c store.ModelChange, expect int64) (m store.Model, err error) {
	what := versionNamed(name, 0)
	err = s.write(ctx, "change "+what, func(tx *sql.Tx) error {
		if m, err = getModel(ctx, tx, name, false); err != nil {
			return err
		}
		if err := checkRevision(what, expect, m.Revision); err != nil {
			return err
		}
		if err := changeModelTags(ctx, tx, name, 0, c); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE models SET description = coalesce(?2, description), label = coalesce(?3, label),
			updated_us = ?4, revision = revision + 1, kept = kept OR ?5 WHERE name = ?1`, name, c.Description, c.Label, micros(s.time()), c.Keep)
		if isDuplicate(err) {
			return exists(versionNamed(*c.Label, 0))
		}
		if err == nil {
			m, err = getModel(ctx, tx, name, false)
		}
		return err
	})
	return m, err
}

// ChangeVersion implements store.Registry.
func (s *Store) ChangeVersion(ctx context.Context, model string, version int, c store.ModelChange) (v store.ModelVersion, err error) {
	what := versionNamed(model, version)
	err = s.write(ctx, "change "+what, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE model_versions SET description = coalesce(?3, description), stage = coalesce(?4, stage),
			licence = coalesce(?6, licence), source = coalesce(?7, source), updated_us = ?5 WHERE model = ?1 AND version = ?2`,
			model, version, c.Description, c.Stage, micros(s.time()), c.Licence, c.Source)
		if err != nil {
			return err
		}
		if err := requireRow(done, what); err != nil {
			return err
		}
		if err := changeModelTags(ctx, tx, model, version, c); err != nil {
			return err
		}
		v, err = getVersion(ctx, tx, model, version)
		return err
	})
	return v, err
}

// SetModelCheck implements store.Registry.
func (s *Store) SetModelCheck(ctx context.Context, model string, version int, report json.RawMessage, overlay string) (v store.ModelVersion, before string, err error) {
	what := versionNamed(model, version)
	err = s.write(ctx, "keep self-check of "+what, func(tx *sql.Tx) error {
		if v, err = getVersion(ctx, tx, model, version); err != nil {
			return err
		}
		before = v.Overlay
		_, err = tx.ExecContext(ctx, `UPDATE model_versions SET self_check = ?3, overlay = ?4, checked_us = ?5 WHERE model = ?1 AND version = ?2`,
			model, v.Version, string(report), overlay, micros(s.time()))
		if err == nil {
			v, err = getVersion(ctx, tx, model, v.Version)
		}
		return err
	})
	return v, before, err
}

func changeModelTags(ctx context.Context, tx *sql.Tx, model string, version int, c store.ModelChange) error {
	for _, key := range c.RemoveTags {
		done, err := tx.ExecContext(ctx, `DELETE FROM model_tags WHERE model = ? AND version = ? AND key = ?`, model, version, key)
		if err == nil {
			err = requireRow(done, fmt.Sprintf("tag %q of %s", key, versionNamed(model, version)))
		}
		if err != nil {
			return err
		}
	}
	return putModelTags(ctx, tx, model, version, c.SetTags)
}

func putModelTags(ctx context.Context, tx *sql.Tx, model string, version int, tags map[string]string) error {
	for key, value := range tags {
		_, err := tx.ExecContext(ctx, `INSERT INTO model_tags (model, version, key, value) VALUES (?, ?, ?, ?)
			ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value`, model, version, key, value)
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteModel implements store.Registry.
func (s *Store) DeleteModel(ctx context.Context, name string) (blobs []string, err error) {
	what := versionNamed(name, 0)
	err = s.write(ctx, "delete "+what, func(tx *sql.Tx) error {
		if _, err := getModel(ctx, tx, name, false); err != nil {
			return err
		}
		if err := notRun(ctx, tx, what, `model = ?`, name); err != nil {
			return err
		}
		if err := notPromoted(ctx, tx, name, 0); err != nil {
			return err
		}
		blobs, err = list(ctx, tx, scanText, "blobs", `SELECT sha256 FROM model_versions WHERE model = ?1
			UNION SELECT overlay FROM model_versions WHERE model = ?1 AND overlay <> ''`, name)
		if err != nil {
			return err
		}
		for _, query := range []string{
			`DELETE FROM model_aliases WHERE model = ?`, `DELETE FROM alias_gates WHERE model = ?`, `DELETE FROM model_tags WHERE model = ?`,
			`DELETE FROM model_versions WHERE model = ?`, `UPDATE models SET kept = 0, description = '', label = 'deleted/' || name WHERE name = ?`,
		} {
			if _, err := tx.ExecContext(ctx, query, name); err != nil {
				return err
			}
		}
		return nil
	})
	return blobs, err
}

// SearchModels implements store.Registry.
func (s *Store) SearchModels(ctx context.Context, q store.Search) ([]store.Model, error) {
	f := filter{}
	f.add(registered)
	q.Terms = slices.Clone(q.Terms)
	var words []string
	q.Terms = slices.DeleteFunc(q.Terms, func(t store.Term) bool {
		plain := t.Field == "text" && t.Op == "ILIKE"
		if plain {
			words, f.args = append(words, "t LIKE ?"), append(f.args, t.Value)
		}
		return plain
	})
	if len(words) > 0 {
		// The limit has the text put together once for all words, not for each.
		f.add("EXISTS (SELECT 1 FROM (SELECT " + modelText + " AS t LIMIT 1) WHERE " + strings.Join(words, " AND ") + ")")
	}
	return search(ctx, s.r, scanModel, "models", selectModels, "name", fields{
		"name": "name", "label": "label", "created": "created_us / 1000", "updated": "updated_us / 1000",
		"tag":      "(SELECT value FROM model_tags t WHERE t.model = name AND t.version = 0 AND t.key = ?)",
		"versions": "(SELECT count(*) FROM model_versions v WHERE v.model = name)",
		"alias":    "name IN (SELECT model FROM model_aliases WHERE alias %s)",
		"family":   "name IN (SELECT model FROM model_versions WHERE family %s)",
		"licence":  "name IN (SELECT model FROM model_versions WHERE licence %s)",
		"text":     modelText,
		"empty":    "(NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.model = name))",
	}, f, q)
}

// modelText is all that a model can be found by, in a row.
const modelText = `(name || ' ' || label || ' ' || description
	|| coalesce((SELECT group_concat(' ' || alias, '') FROM model_aliases a WHERE a.model = name), '')
	|| coalesce((SELECT group_concat(' ' || f, '') FROM (SELECT DISTINCT family || ' ' || licence AS f FROM model_versions v WHERE v.model = name)), '')
	|| coalesce((SELECT group_concat(' ' || key || '=' || value, '') FROM model_tags t WHERE t.model = name), ''))`

// LatestVersions implements store.Registry.
func (s *Store) LatestVersions(ctx context.Context, models ...string) ([]store.ModelVersion, error) {
	names, err := marshal(models)
	if err != nil {
		return nil, err
	}
	return list(ctx, s.r, scanVersion, "model versions", selectVersions+` WHERE (model, version) IN (SELECT n.model, max(n.version)
		FROM json_each(?) j CROSS JOIN model_versions n INDEXED BY model_versions_by_stage ON n.model = j.value GROUP BY n.model, n.stage)
		ORDER BY model, version DESC`, names)
}

// SearchVersions implements store.Registry.
func (s *Store) SearchVersions(ctx context.Context, q store.Search) ([]store.ModelVersion, error) {
	return search(ctx, s.r, scanVersion, "model versions", selectVersions, "model, version DESC", fields{
		"name": "v.model", "label": "(SELECT label FROM models WHERE name = v.model)", "version": "v.version",
		"run": "run_id", "source": "source", "family": "family", "licence": "licence", "stage": "stage", "sha256": "sha256",
		"created": "created_us / 1000", "updated": "updated_us / 1000",
		"tag":   "(SELECT value FROM model_tags t WHERE t.model = v.model AND t.version = v.version AND t.key = ?)",
		"alias": "EXISTS (SELECT 1 FROM model_aliases a WHERE a.model = v.model AND a.version = v.version AND alias %s)",
	}, filter{}, q)
}
