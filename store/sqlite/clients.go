package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"detectd/store"
)

const selectClients = `SELECT id, name, revision, created_us, updated_us FROM clients`

func scanClient(r row) (c store.Client, err error) {
	var created, updated int64
	err = r.Scan(&c.ID, &c.Name, &c.Revision, &created, &updated)
	c.CreatedAt, c.UpdatedAt = timeOf(created), timeOf(updated)
	return c, err
}

func getClient(ctx context.Context, q querier, id string) (store.Client, error) {
	return one(ctx, q, scanClient, clientNamed(id), selectClients+` WHERE id = ?`, id)
}

// CreateClient implements store.Clients.
func (s *Store) CreateClient(ctx context.Context, c store.Client) (store.Client, error) {
	c.Revision, c.CreatedAt = 1, s.time()
	c.UpdatedAt = c.CreatedAt
	err := s.write(ctx, "create "+clientNamed(c.ID), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO clients (id, name, revision, created_us, updated_us) VALUES (?, ?, ?, ?, ?)`,
			c.ID, c.Name, c.Revision, micros(c.CreatedAt), micros(c.UpdatedAt))
		if isDuplicate(err) {
			return exists(clientNamed(c.ID))
		}
		return err
	})
	if err != nil {
		return store.Client{}, err
	}
	return c, nil
}

// Client implements store.Clients.
func (s *Store) Client(ctx context.Context, id string) (store.Client, error) {
	return getClient(ctx, s.r, id)
}

// ListClients implements store.Clients.
func (s *Store) ListClients(ctx context.Context) ([]store.Client, error) {
	return list(ctx, s.r, scanClient, "clients", selectClients+` ORDER BY id`)
}

// UpdateClient implements store.Clients.
func (s *Store) UpdateClient(ctx context.Context, c store.Client, expect int64) (store.Client, error) {
	err := s.write(ctx, "update "+clientNamed(c.ID), func(tx *sql.Tx) error {
		old, err := getClient(ctx, tx, c.ID)
		if err != nil {
			return err
		}
		if err := checkRevision("client "+c.ID, expect, old.Revision); err != nil {
			return err
		}
		c.Revision, c.CreatedAt, c.UpdatedAt = old.Revision+1, old.CreatedAt, s.time()
		_, err = tx.ExecContext(ctx, `UPDATE clients SET name = ?, revision = ?, updated_us = ? WHERE id = ?`,
			c.Name, c.Revision, micros(c.UpdatedAt), c.ID)
		return err
	})
	if err != nil {
		return store.Client{}, err
	}
	return c, nil
}

// DeleteClient implements store.Clients.
func (s *Store) DeleteClient(ctx context.Context, id string, expect int64) error {
	return s.write(ctx, "delete "+clientNamed(id), func(tx *sql.Tx) error {
		old, err := getClient(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := checkRevision("client "+id, expect, old.Revision); err != nil {
			return err
		}
		var cameras int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM cameras WHERE client_id = ?`, id).Scan(&cameras); err != nil {
			return err
		}
		if cameras > 0 {
			return fmt.Errorf("%s: %w by %d of its cameras", clientNamed(id), store.ErrInUse, cameras)
		}
		if err := s.dropRunningModel(ctx, tx, id, "", "client deleted"); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM clients WHERE id = ?`, id)
		return err
	})
}
