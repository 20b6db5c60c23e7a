package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"detectd/store"
)

// KeepBaselines implements store.Promotions.
func (s *Store) KeepBaselines(ctx context.Context, list []store.CameraBaseline) error {
	return s.write(ctx, "keep what cameras do", func(tx *sql.Tx) error {
		for _, b := range list {
			b.Until = stored(b.Until)
			body, err := marshal(b)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT OR REPLACE INTO camera_baselines (camera_id, body)
				SELECT id, ?2 FROM cameras WHERE id = ?1`, b.CameraID, body); err != nil {
				return err
			}
		}
		return nil
	})
}

// Baselines implements store.Promotions.
func (s *Store) Baselines(ctx context.Context) ([]store.CameraBaseline, error) {
	return list(ctx, s.r, func(r row) (b store.CameraBaseline, err error) {
		var body string
		if err := r.Scan(&body); err != nil {
			return b, err
		}
		if err := json.Unmarshal([]byte(body), &b); err != nil {
			return b, fmt.Errorf("decode baseline: %w", err)
		}
		return b, nil
	}, "baselines", `SELECT body FROM camera_baselines ORDER BY camera_id`)
}
