package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"detectd/store"
)

const selectMeasurements = `SELECT id, model, version, kind, dataset, machine, provider, time_us, body FROM model_measurements`

func scanMeasurement(r row) (m store.Measurement, err error) {
	var id, at int64
	var version int
	var model, kind, dataset, machine, provider, body string
	if err := r.Scan(&id, &model, &version, &kind, &dataset, &machine, &provider, &at, &body); err != nil {
		return m, err
	}
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return m, fmt.Errorf("decode measurement: %w", err)
	}
	m.ID, m.Model, m.Version, m.Kind, m.Dataset, m.Machine, m.Provider, m.Time = id, model, version, kind, dataset, machine, provider, timeOf(at)
	return m, nil
}

// AddMeasurement implements store.Measurements.
func (s *Store) AddMeasurement(ctx context.Context, m store.Measurement) (store.Measurement, error) {
	if m.Time = stored(m.Time); m.Time.IsZero() {
		m.Time = s.time()
	}
	m.ID = 0
	body, err := marshal(m)
	if err != nil {
		return store.Measurement{}, fmt.Errorf("encode measurement: %w", err)
	}
	err = s.write(ctx, "add measurement of "+versionNamed(m.Model, m.Version), func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `INSERT INTO model_measurements (model, version, kind, dataset, machine, provider, time_us, body)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`,
			m.Model, m.Version, m.Kind, m.Dataset, m.Machine, m.Provider, micros(m.Time), body).Scan(&m.ID)
		if isDangling(err) {
			return notFound(versionNamed(m.Model, m.Version))
		}
		return err
	})
	if err != nil {
		return store.Measurement{}, err
	}
	return m, nil
}

// ListMeasurements implements store.Measurements.
func (s *Store) ListMeasurements(ctx context.Context, model string, version int) ([]store.Measurement, error) {
	if _, err := getVersion(ctx, s.r, model, version); err != nil {
		return nil, err
	}
	return list(ctx, s.r, scanMeasurement, "measurements", selectMeasurements+` WHERE model = ? AND version = ? ORDER BY id DESC LIMIT 1000`, model, version)
}

// NewestMeasurements implements store.Measurements.
func (s *Store) NewestMeasurements(ctx context.Context, versions ...store.VersionKey) ([]store.Measurement, error) {
	if len(versions) == 0 {
		return []store.Measurement{}, nil
	}
	asked, err := marshal(versions)
	if err != nil {
		return nil, err
	}
	// A cross join is read from left to right: each version asked for is one seek in the index.
	return list(ctx, s.r, scanMeasurement, "measurements", selectMeasurements+` WHERE id IN (SELECT max(m.id)
		FROM json_each(?) v CROSS JOIN model_measurements m ON m.model = v.value ->> 'Model' AND m.version = v.value ->> 'Version'
		GROUP BY m.model, m.version, m.kind, m.dataset, CASE m.kind WHEN 'speed' THEN m.machine END)
		ORDER BY model, version DESC, id DESC`, asked)
}

const selectGates = `SELECT model, alias, rules, revision, updated_us, updated_by, reason FROM alias_gates`

func scanGates(r row) (g store.Gates, err error) {
	var rules string
	var updated int64
	if err := r.Scan(&g.Model, &g.Alias, &rules, &g.Revision, &updated, &g.UpdatedBy, &g.Reason); err != nil {
		return g, err
	}
	if err := json.Unmarshal([]byte(rules), &g.Rules); err != nil {
		return g, fmt.Errorf("decode rules: %w", err)
	}
	g.UpdatedAt = timeOf(updated)
	return g, nil
}

func gatesNamed(model, alias string) string { return fmt.Sprintf("rules of %s@%s", model, alias) }

func getGates(ctx context.Context, q querier, model, alias string) (store.Gates, error) {
	g, err := one(ctx, q, scanGates, gatesNamed(model, alias), selectGates+` WHERE model = ? AND alias = ?`, model, alias)
	if errors.Is(err, store.ErrNotFound) {
		return store.Gates{Model: model, Alias: alias, Rules: store.DefaultGates()}, nil
	}
	return g, err
}

// PutGates implements store.Gatekeeping.
func (s *Store) PutGates(ctx context.Context, g store.Gates, expect int64) (store.Gates, error) {
	if g.Rules.SelfCheck == "" {
		g.Rules.SelfCheck = store.CheckNotFailed
	}
	rules, err := marshal(g.Rules)
	if err != nil {
		return store.Gates{}, fmt.Errorf("encode rules: %w", err)
	}
	what := gatesNamed(g.Model, g.Alias)
	err = s.write(ctx, "write "+what, func(tx *sql.Tx) error {
		if _, err := getModel(ctx, tx, g.Model, false); err != nil {
			return err
		}
		old, err := getGates(ctx, tx, g.Model, g.Alias)
		if err != nil {
			return err
		}
		if err := checkRevision(what, expect, old.Revision); err != nil {
			return err
		}
		g.Revision, g.UpdatedAt = old.Revision+1, s.time()
		_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO alias_gates (model, alias, rules, revision, updated_us, updated_by, reason)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, g.Model, g.Alias, rules, g.Revision, micros(g.UpdatedAt), g.UpdatedBy, g.Reason)
		return err
	})
	if err != nil {
		return store.Gates{}, err
	}
	return g, nil
}

// AliasGates implements store.Gatekeeping.
func (s *Store) AliasGates(ctx context.Context, model, alias string) (store.Gates, error) {
	return getGates(ctx, s.r, model, alias)
}

// ListGates implements store.Gatekeeping.
func (s *Store) ListGates(ctx context.Context, model string) ([]store.Gates, error) {
	return list(ctx, s.r, scanGates, "rules of aliases", selectGates+` WHERE model = ? ORDER BY alias`, model)
}
