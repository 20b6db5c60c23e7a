package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"detectd/store"
)

const selectPromotions = `SELECT id, model, version, alias, client_id, state, revision, created_us, updated_us, body FROM promotions`

func scanPromotion(r row) (p store.Promotion, err error) {
	var c store.Promotion // the columns decide
	var created, updated int64
	var body string
	err = r.Scan(&c.ID, &c.Model, &c.Version, &c.Alias, &c.ClientID, &c.State, &c.Revision, &created, &updated, &body)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		return p, fmt.Errorf("decode promotion: %w", err)
	}
	p.ID, p.Model, p.Version, p.Alias, p.ClientID, p.State, p.Revision = c.ID, c.Model, c.Version, c.Alias, c.ClientID, c.State, c.Revision
	p.CreatedAt, p.UpdatedAt = timeOf(created), timeOf(updated)
	return p, nil
}

func getPromotion(ctx context.Context, q querier, id string) (store.Promotion, error) {
	return one(ctx, q, scanPromotion, fmt.Sprintf("promotion %q", id), selectPromotions+` WHERE id = ?`, id)
}

// StepPromotion implements store.Promotions.
func (s *Store) StepPromotion(ctx context.Context, step store.PromotionStep) (store.Promotion, []store.RunningModel, error) {
	p := step.Promotion
	var changed []store.RunningModel
	err := s.write(ctx, "promote "+versionNamed(p.Model, p.Version), func(tx *sql.Tx) error {
		if err := s.mayStep(ctx, tx, p); err != nil {
			return err
		}
		for _, r := range step.Running {
			done, err := s.stepRunning(ctx, tx, r)
			if err != nil {
				return err
			}
			changed = append(changed, done)
		}
		p.Before = undoing(p.Before, changed)
		if err := s.putPromotion(ctx, tx, &p); err != nil {
			return err
		}
		if step.Alias != nil {
			if err := s.stepAlias(ctx, tx, *step.Alias); err != nil {
				return err
			}
		}
		for _, e := range step.Events {
			if e.Time = stored(e.Time); e.Time.IsZero() {
				e.Time = p.UpdatedAt
			}
			if err := addEvent(ctx, tx, &e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return store.Promotion{}, nil, err
	}
	return p, changed, nil
}

// mayStep checks that a promotion is as expected, or may begin.
func (s *Store) mayStep(ctx context.Context, tx *sql.Tx, p store.Promotion) error {
	if p.Revision == 0 {
		if _, err := getVersion(ctx, tx, p.Model, p.Version); err != nil {
			return err
		}
		return vacant(ctx, tx, p)
	}
	old, err := getPromotion(ctx, tx, p.ID)
	if err != nil {
		return err
	}
	return checkRevision("promotion "+p.ID, p.Revision, old.Revision)
}

// undoing gives the steps that undo a change the revisions that it has made.
func undoing(before []store.RunningStep, changed []store.RunningModel) []store.RunningStep {
	out := slices.Clone(before)
	for i, b := range out {
		for _, r := range changed {
			if r.ClientID == b.Record.ClientID && r.CameraID == b.Record.CameraID {
				out[i].Expect = r.Revision
				if r.Deleted {
					out[i].Expect = 0
				}
			}
		}
	}
	return out
}

// putPromotion writes the next revision of a promotion.
func (s *Store) putPromotion(ctx context.Context, tx *sql.Tx, p *store.Promotion) error {
	p.Revision++
	p.UpdatedAt = s.time()
	if p.Revision == 1 {
		p.CreatedAt = p.UpdatedAt
	}
	body, err := marshal(p)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO promotions (id, model, version, alias, client_id, state, active, revision, created_us, updated_us, body)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET state = excluded.state, active = excluded.active, revision = excluded.revision,
			updated_us = excluded.updated_us, body = excluded.body`, p.ID, p.Model, p.Version, p.Alias, p.ClientID, p.State, p.Active(), p.Revision,
		micros(p.CreatedAt), micros(p.UpdatedAt), body)
	return err
}

// vacant is store.ErrExists while the client or the alias has an active promotion.
func vacant(ctx context.Context, tx *sql.Tx, p store.Promotion) error {
	other, err := one(ctx, tx, scanPromotion, "", selectPromotions+` WHERE active = 1
		AND (client_id = ?1 OR model = ?2 AND alias = ?3 AND alias <> '' OR id = ?4) LIMIT 1`, p.ClientID, p.Model, p.Alias, p.ID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil
	case err != nil:
		return err
	case other.ClientID == p.ClientID:
		return exists(fmt.Sprintf("client %s: promotion %s of %s@%d has not ended", p.ClientID, other.ID, other.Model, other.Version))
	default:
		return exists(fmt.Sprintf("%s@%s: promotion %s has not ended", p.Model, p.Alias, other.ID))
	}
}

// stepRunning changes a running-model record as PutRunningModel and
// DeleteRunningModel do.
func (s *Store) stepRunning(ctx context.Context, tx *sql.Tx, step store.RunningStep) (store.RunningModel, error) {
	r := step.Record
	what := runningNamed(r.ClientID, r.CameraID)
	if err := checkPlace(ctx, tx, r.ClientID, r.CameraID); err != nil {
		return r, err
	}
	old, err := getRunning(ctx, tx, r.ClientID, r.CameraID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return r, err
	}
	if err := checkRevision(what, step.Expect, old.Revision); err != nil {
		return r, err
	}
	if !r.Deleted {
		if err := checkNamed(ctx, tx, r); err != nil {
			return r, err
		}
	}
	return r, s.putRunning(ctx, tx, &r)
}

// stepAlias moves an alias as SetAlias and DeleteAlias do.
func (s *Store) stepAlias(ctx context.Context, tx *sql.Tx, a store.AliasStep) error {
	return s.aliasIn(ctx, tx, a.Model, a.Alias, a.Expect, func(tx *sql.Tx, from int, now time.Time) error {
		m := store.AliasMove{Model: a.Model, Alias: a.Alias, From: from, To: a.Version, At: now, Author: a.Author}
		if a.Version == 0 {
			return dropAlias(ctx, tx, m)
		}
		return putAlias(ctx, tx, m)
	})
}

// NotePromotion implements store.Promotions.
func (s *Store) NotePromotion(ctx context.Context, note store.Promotion) error {
	return s.write(ctx, "note promotion "+note.ID, func(tx *sql.Tx) error {
		p, err := getPromotion(ctx, tx, note.ID)
		if err != nil || !p.Active() {
			return err
		}
		p.Figures, p.Shadow, p.Beside = cmp.Or(note.Figures, p.Figures), cmp.Or(note.Shadow, p.Shadow), cmp.Or(note.Beside, p.Beside)
		body, err := marshal(p)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE promotions SET body = ?2 WHERE id = ?1`, p.ID, body)
		return err
	})
}

// Promotion implements store.Promotions.
func (s *Store) Promotion(ctx context.Context, id string) (store.Promotion, error) {
	return getPromotion(ctx, s.r, id)
}

// ActivePromotions implements store.Promotions.
func (s *Store) ActivePromotions(ctx context.Context) ([]store.Promotion, error) {
	return list(ctx, s.r, scanPromotion, "promotions", selectPromotions+` WHERE active = 1 ORDER BY created_us, id`)
}

// ListPromotions implements store.Promotions.
func (s *Store) ListPromotions(ctx context.Context, model string, p store.Page) ([]store.Promotion, string, error) {
	f := filter{}
	f.equal("model", model)
	return paged[store.Promotion, string]{
		what: "promotions", query: selectPromotions, timeIn: "created_us", idIn: "id", scan: scanPromotion,
		at: func(p store.Promotion) position[string] { return position[string]{micros(p.CreatedAt), p.ID} },
	}.read(ctx, s.r, f, p)
}

// notPromoted is store.ErrInUse while a version is being promoted, or is the one
// that a roll back would bring back. Version 0 stands for all.
func notPromoted(ctx context.Context, tx *sql.Tx, model string, version int) error {
	active, err := list(ctx, tx, scanPromotion, "promotions", selectPromotions+` WHERE active = 1`)
	if err != nil {
		return err
	}
	for _, p := range active {
		candidate := p.Model == model && (version == 0 || p.Version == version)
		champion := p.ChampionModel == model && (version == 0 || p.ChampionVersion == version)
		if candidate || champion {
			return fmt.Errorf("%s: %w by promotion %s, which has not ended", versionNamed(model, version), store.ErrInUse, p.ID)
		}
	}
	return nil
}
