package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"

	"detectd/store"
)

// Inspection is a database that is looked at as it is: its schema stays, and so
// does the process that may own it. Only Forget, Rebind and SetBlobs change something; they
// are for copies and for databases that nobody else has open.
type Inspection struct{ db *sql.DB }

// Inspect opens an existing database beside its owner.
func Inspect(ctx context.Context, path string) (*Inspection, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db, err := pool(path, "mode=rw&_txlock=immediate", 1)
	if err != nil {
		return nil, fmt.Errorf("open database %q: %w", path, err)
	}
	i := &Inspection{db}
	if _, err := i.Schema(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %q: %w", path, err), db.Close())
	}
	return i, nil
}

// Close closes the database.
func (i *Inspection) Close() error { return i.db.Close() }

// Snapshot writes the database as it is at one moment to a file that is new or
// empty, without stopping its owner. The file is synced by the caller, if at all.
func (i *Inspection) Snapshot(ctx context.Context, to string) error {
	if _, err := i.db.ExecContext(ctx, `VACUUM INTO ?`, to); err != nil {
		return fmt.Errorf("copy database: %w", err)
	}
	return nil
}

// Schema is the number of the newest migration that the database has seen.
func (i *Inspection) Schema(ctx context.Context) (version int64, err error) {
	err = i.db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&version)
	return version, err
}

// Integrity lists what SQLite finds wrong with its file, at most a hundred things.
// A quick look leaves out whether indexes and tables agree.
func (i *Inspection) Integrity(ctx context.Context, quick bool) ([]string, error) {
	pragma := `PRAGMA integrity_check(100)`
	if quick {
		pragma = `PRAGMA quick_check(100)`
	}
	found, err := list(ctx, i.db, scanText, "damage", pragma)
	if err != nil {
		return nil, err
	}
	if len(found) == 1 && found[0] == "ok" {
		found = nil
	}
	dangling, err := list(ctx, i.db, scanText, "dangling rows",
		`SELECT 'row ' || coalesce(rowid, '?') || ' of ' || "table" || ' refers to no row of ' || parent FROM pragma_foreign_key_check LIMIT 100`)
	return append(found, dangling...), err
}

// File is a file that a row names.
type File struct {
	Name  string // address of a blob, or path below the media folder
	Bytes int64  // -1: the row does not say
	Kind  string // of the row: model, overlay (the picture of a model's self-check), artifact, result or segment
	ID    string // of the row
}

// Row names the row, for people.
func (f File) Row() string { return f.Kind + " " + f.ID }

// Blobs lists the blobs that rows name, each once for each row.
func (i *Inspection) Blobs(ctx context.Context) ([]File, error) {
	query := `
		SELECT sha256, size, 'model', model || '@' || version FROM model_versions
		UNION ALL SELECT sha256, bytes, 'result', id FROM results WHERE sha256 <> ''
		UNION ALL SELECT input, -1, 'result', id FROM results WHERE input <> ''`
	// Databases of older versions do not have all of it.
	var pictures, tracks bool
	err := i.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM pragma_table_info('model_versions') WHERE name = 'overlay'),
		EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'mlflow_artifacts')`).Scan(&pictures, &tracks)
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	if pictures {
		query += ` UNION ALL SELECT overlay, -1, 'overlay', model || '@' || version FROM model_versions WHERE overlay <> ''`
	}
	if tracks {
		query += ` UNION ALL SELECT sha256, size, 'artifact', path FROM mlflow_artifacts`
	}
	return list(ctx, i.db, scanFile, "blobs", query)
}

// Segments lists the files of the recordings.
func (i *Inspection) Segments(ctx context.Context) ([]File, error) {
	return list(ctx, i.db, scanFile, "segments", `SELECT path, bytes, 'segment', id FROM segments ORDER BY start_us, id`)
}

// HasSegment says whether a row or an entry of garbage names a file.
func (i *Inspection) HasSegment(ctx context.Context, path string) (known bool, err error) {
	err = i.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM segments WHERE path = ?1) OR EXISTS (SELECT 1 FROM garbage WHERE path = ?1)`, path).Scan(&known)
	return known, err
}

func scanFile(r row) (f File, err error) {
	err = r.Scan(&f.Name, &f.Bytes, &f.Kind, &f.ID)
	return f, err
}

// ForgetSegments deletes the rows of recordings whose files are not there, and
// the list of files to remove when all is true. What the ledgers of gaps have
// accounted for as recorded is entered into them with the reason.
func (i *Inspection) ForgetSegments(ctx context.Context, paths []string, reason store.GapReason, all bool) error {
	names, err := marshal(append([]string{}, paths...))
	if err != nil {
		return fmt.Errorf("forget segments: %w", err)
	}
	return i.change(ctx, "forget segments", func(tx *sql.Tx) error {
		if all {
			if _, err := tx.ExecContext(ctx, `DELETE FROM garbage`); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM segments WHERE path IN (SELECT value FROM json_each(?))`, names); err != nil {
			return err
		}
		return loseHoles(ctx, tx, reason)
	})
}

// loseHoles enters every hole of what is accounted for: all else in it lies in a
// segment or a gap.
func loseHoles(ctx context.Context, tx *sql.Tx, reason store.GapReason) error {
	var kept bool // databases before migration 10 keep no ledgers
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'ledgers')`).Scan(&kept)
	if err != nil || !kept {
		return err
	}
	ledgers, err := list(ctx, tx, scanLedger, "ledgers", selectLedgers)
	if err != nil {
		return err
	}
	for _, l := range ledgers {
		holes, err := holesIn(ctx, tx, l.CameraID, store.Range{From: l.From, To: l.Until}, store.GapSlack)
		if err != nil {
			return err
		}
		for _, h := range holes {
			if _, err := addGap(ctx, tx, store.Gap{CameraID: l.CameraID, From: h.From, To: h.To, Reason: reason}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ForgetResults deletes results whose files are lost.
func (i *Inspection) ForgetResults(ctx context.Context, ids []string) error {
	all, err := marshal(append([]string{}, ids...))
	if err != nil {
		return fmt.Errorf("forget results: %w", err)
	}
	return i.change(ctx, "forget results", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM results WHERE id IN (SELECT value FROM json_each(?))`, all)
		return err
	})
}

// Rebind ties the database to another data folder, see Store.BindFolder.
func (i *Inspection) Rebind(ctx context.Context, folder string) error {
	return i.change(ctx, "bind database to its folder", func(tx *sql.Tx) error {
		return (&Store{}).setMeta(ctx, tx, "folder", folder)
	})
}

// SetBlobs notes where the blobs are, see Store.SetBlobs.
func (i *Inspection) SetBlobs(ctx context.Context, place string) error {
	return i.change(ctx, "note place of blobs", func(tx *sql.Tx) error { return (&Store{}).setMeta(ctx, tx, "blobs", place) })
}

// Newest is the number of the newest migration that this program knows.
func Newest() (int64, error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("list migrations: %w", err)
	}
	var version int64
	if _, err := fmt.Sscanf(files[len(files)-1].Name(), "%d", &version); err != nil {
		return 0, fmt.Errorf("read the number of %s: %w", files[len(files)-1].Name(), err)
	}
	return version, nil
}

func (i *Inspection) change(ctx context.Context, doing string, fn func(tx *sql.Tx) error) error {
	return (&Store{w: i.db}).write(ctx, doing, fn)
}

// BlobsPlace is where SetBlobs said that the blobs are, "" when it never did.
func (i *Inspection) BlobsPlace(ctx context.Context) (place string, err error) {
	err = i.db.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM meta WHERE key = 'blobs'), '')`).Scan(&place)
	return place, err
}

// Folder is the id of the data folder that the database belongs to, "" for none.
func (i *Inspection) Folder(ctx context.Context) (id string, err error) {
	err = i.db.QueryRowContext(ctx, `SELECT coalesce((SELECT value FROM meta WHERE key = 'folder'), '')`).Scan(&id)
	return id, err
}
