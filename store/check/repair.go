package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"detectd/store"
	"detectd/store/sqlite"
)

// Repaired is what Repair did.
type Repaired struct {
	Folder string `json:"folder"` // of what was moved and taken out, below the data folder
	Files  int    `json:"files"`  // moved
	Rows   int    `json:"rows"`   // taken out
}

// Repair brings rows and files of a folder that nobody else has open in line with
// each other. It deletes nothing: files without a row, and damaged ones, move to a
// folder below quarantine/; rows without a file are written to rows.jsonl there
// before they are taken out; the time of recordings that are lost goes into the
// ledger of gaps. Models, and the database itself, it leaves alone.
func Repair(ctx context.Context, t Target, r Report) (done Repaired, err error) {
	if t.Settle != 0 {
		return done, errors.New("repair data folder: it is in use; stop the running detectd first")
	}
	done.Folder = "quarantine/" + time.Now().UTC().Format("20060102T150405.000")
	dir := filepath.Join(t.Folder.Path(), filepath.FromSlash(done.Folder))
	var results, segments []string
	var rows []sqlite.File
	for _, f := range r.Findings {
		lost := f.Kind == KindMissing || f.Kind == KindDamaged && f.row.Kind == "result"
		if f.Kind == KindOrphan || f.Kind == KindDamaged && f.row.Kind == "result" {
			switch moved, err := move(t.Folder.Path(), dir, f.File); {
			case err != nil:
				return done, fmt.Errorf("repair data folder: %w", err)
			case moved:
				done.Files++
			}
		}
		switch {
		case !lost:
		case f.row.Kind == "result":
			results, rows = append(results, f.row.ID), append(rows, f.row)
		case f.row.Kind == "segment":
			segments, rows = append(segments, f.row.Name), append(rows, f.row)
		}
	}
	if len(rows) == 0 {
		return done, nil
	}
	if err := writeRows(dir, rows); err != nil {
		return done, fmt.Errorf("repair data folder: %w", err)
	}
	db, err := sqlite.Inspect(ctx, t.Folder.DB())
	if err != nil {
		return done, fmt.Errorf("repair data folder: %w", err)
	}
	defer func() { _ = db.Close() }()
	if err := errors.Join(db.ForgetResults(ctx, results), db.ForgetSegments(ctx, segments, store.GapLost, false)); err != nil {
		return done, fmt.Errorf("repair data folder: %w", err)
	}
	done.Rows = len(rows)
	return done, nil
}

// move puts a file in the same place below another folder. It may be gone: a
// damaged blob of two rows is moved once.
func move(root, to, name string) (bool, error) {
	target := filepath.Join(to, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o700); err != nil {
		return false, err
	}
	source := filepath.Join(root, filepath.FromSlash(name))
	err := os.Rename(source, target)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, errors.Join(err, syncDir(filepath.Dir(target)), syncDir(filepath.Dir(source)))
}

func writeRows(dir string, rows []sqlite.File) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, "rows.jsonl"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := json.NewEncoder(file)
	for _, r := range rows {
		if err := w.Encode(map[string]any{"kind": r.Kind, "id": r.ID, "file": r.Name, "bytes": r.Bytes}); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return errors.Join(file.Sync(), file.Close(), syncDir(dir))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
