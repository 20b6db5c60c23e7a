package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"detectd/store"
)

// SetAlias implements store.Registry.
func (s *Store) SetAlias(ctx context.Context, model, alias string, version, expect int, a store.Author) error {
	return s.alias(ctx, model, alias, expect, func(tx *sql.Tx, from int, now time.Time) error {
		return putAlias(ctx, tx, store.AliasMove{Model: model, Alias: alias, From: from, To: version, At: now, Author: a})
	})
}

// putAlias lets an alias name another version.
func putAlias(ctx context.Context, tx *sql.Tx, m store.AliasMove) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO model_aliases (model, alias, version, updated_us) VALUES (?, ?, ?, ?)
			ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version, updated_us = excluded.updated_us`,
		m.Model, m.Alias, m.To, micros(m.At))
	if isDangling(err) {
		return notFound(versionNamed(m.Model, m.To))
	}
	if err != nil || m.From == m.To {
		return err
	}
	return noteMove(ctx, tx, m)
}

// DeleteAlias implements store.Registry.
func (s *Store) DeleteAlias(ctx context.Context, model, alias string, expect int, a store.Author) error {
	return s.alias(ctx, model, alias, expect, func(tx *sql.Tx, from int, now time.Time) error {
		return dropAlias(ctx, tx, store.AliasMove{Model: model, Alias: alias, From: from, At: now, Author: a})
	})
}

// dropAlias takes an alias away that nobody follows.
func dropAlias(ctx context.Context, tx *sql.Tx, m store.AliasMove) error {
	what := aliasNamed(m.Model, m.Alias)
	if err := notRun(ctx, tx, what, `model = ? AND alias = ?`, m.Model, m.Alias); err != nil {
		return err
	}
	done, err := tx.ExecContext(ctx, `DELETE FROM model_aliases WHERE model = ? AND alias = ?`, m.Model, m.Alias)
	if err == nil {
		err = requireRow(done, what)
	}
	if err != nil {
		return err
	}
	return noteMove(ctx, tx, m)
}

// alias runs a change of an alias that names version expect; it is given the
// version that it names.
func (s *Store) alias(ctx context.Context, model, alias string, expect int, change func(tx *sql.Tx, from int, now time.Time) error) error {
	return s.write(ctx, "change alias of "+versionNamed(model, 0), func(tx *sql.Tx) error {
		return s.aliasIn(ctx, tx, model, alias, expect, change)
	})
}

// aliasIn is alias within a transaction.
func (s *Store) aliasIn(ctx context.Context, tx *sql.Tx, model, alias string, expect int, change func(tx *sql.Tx, from int, now time.Time) error) error {
	if _, err := getModel(ctx, tx, model, false); err != nil {
		return err
	}
	var current int
	err := tx.QueryRowContext(ctx, `SELECT coalesce((SELECT version FROM model_aliases WHERE model = ? AND alias = ?), 0)`, model, alias).Scan(&current)
	if err != nil {
		return err
	}
	if expect != store.AnyVersion && expect != current {
		return &store.AliasError{Model: model, Alias: alias, Given: expect, Current: current}
	}
	now := s.time()
	if err := change(tx, current, now); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE models SET updated_us = ?2, revision = revision + 1 WHERE name = ?1`, model, micros(now))
	return err
}

func noteMove(ctx context.Context, tx *sql.Tx, m store.AliasMove) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO model_alias_moves (model, alias, from_version, to_version, moved_us, moved_by, reason)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, m.Model, m.Alias, m.From, m.To, micros(m.At), m.By, m.Why)
	return err
}

// AliasVersion implements store.Registry.
func (s *Store) AliasVersion(ctx context.Context, model, alias string) (store.ModelVersion, error) {
	if alias == "" { // which stands for the newest version in what is held
		return aliasVersion(ctx, s.r, model, alias)
	}
	return s.version(wanted{model: model, alias: alias}, func() (store.ModelVersion, error) { return aliasVersion(ctx, s.r, model, alias) })
}

func aliasVersion(ctx context.Context, q querier, model, alias string) (store.ModelVersion, error) {
	return one(ctx, q, scanVersion, aliasNamed(model, alias),
		selectVersions+` WHERE model = ?1 AND version = (SELECT version FROM model_aliases WHERE model = ?1 AND alias = ?2)`, model, alias)
}

// AliasHistory implements store.Registry. It returns the newest thousand moves,
// also of aliases and models that are gone.
func (s *Store) AliasHistory(ctx context.Context, model, alias string) ([]store.AliasMove, error) {
	return list(ctx, s.r, func(r row) (m store.AliasMove, err error) {
		var at int64
		err = r.Scan(&m.Model, &m.Alias, &m.From, &m.To, &at, &m.By, &m.Why)
		m.At = timeOf(at)
		return m, err
	}, "moves of aliases", `SELECT model, alias, from_version, to_version, moved_us, moved_by, reason FROM model_alias_moves
		WHERE model = ?1 AND (alias = ?2 OR ?2 = '') ORDER BY id DESC LIMIT 1000`, model, alias)
}

func aliasNamed(model, alias string) string {
	return fmt.Sprintf("alias %q of %s", alias, versionNamed(model, 0))
}

// notRun is store.ErrInUse when running models that fit a condition name what is
// to go. It says which.
func notRun(ctx context.Context, tx *sql.Tx, what, where string, args ...any) error {
	const most = 5
	users, err := list(ctx, tx, func(r row) (string, error) {
		var client, camera string
		err := r.Scan(&client, &camera)
		return strings.TrimPrefix(runningNamed(client, camera), "running model of "), err
	}, "running models", `SELECT client_id, camera_id FROM running_models WHERE `+where+` ORDER BY client_id, camera_id`, args...)
	if err != nil || len(users) == 0 {
		return err
	}
	more := ""
	if len(users) > most {
		more = fmt.Sprintf(" and %d more", len(users)-most)
		users = users[:most]
	}
	return fmt.Errorf("%s: %w by %s%s", what, store.ErrInUse, strings.Join(users, ", "), more)
}

// notNamed is store.ErrInUse when an alias names the version. It says which, and
// who follows them.
func notNamed(ctx context.Context, tx *sql.Tx, model string, version int) error {
	aliases, err := list(ctx, tx, scanText, "aliases", `SELECT alias FROM model_aliases WHERE model = ? AND version = ? ORDER BY alias`, model, version)
	if err != nil || len(aliases) == 0 {
		return err
	}
	what := fmt.Sprintf("alias %s", strings.Join(aliases, ", "))
	err = notRun(ctx, tx, what, `model = ?1 AND alias IN (SELECT alias FROM model_aliases WHERE model = ?1 AND version = ?2)`, model, version)
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%s: %w; move the alias first", versionNamed(model, version), err)
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w by %s; move or delete that first", versionNamed(model, version), store.ErrInUse, what)
}
