// Package check compares what the records of a data folder say with the files
// that are there.
//
// What must hold: the database is whole and of this folder; every row has its
// file, of its size and, for blobs, its SHA-256; every file below media has a row,
// or an entry that says it is to be removed. Blobs without a row are no damage but
// garbage; they are counted.
package check

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"detectd/store"
	"detectd/store/badger"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// Level says how closely is looked.
type Level string

// The levels, each with what those before it do.
const (
	Presence Level = "presence" // the database, and whether files are there
	Size     Level = "size"     // sizes of files
	Hash     Level = "hash"     // every byte of every blob
)

// Kinds of findings.
const (
	KindDatabase = "database" // the database file is damaged
	KindFolder   = "folder"   // database and folder do not belong together
	KindSeries   = "series"   // annotations and metrics are damaged
	KindMissing  = "missing"  // a row without its file
	KindDamaged  = "damaged"  // a file that is not what its row says
	KindOrphan   = "orphan"   // a file without a row
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind string `json:"kind"`
	File string `json:"file,omitempty"` // below the data folder
	Row  string `json:"row,omitempty"`  // that names it
	What string `json:"what"`           // for people: what is wrong and what helps

	row sqlite.File
}

// Report is the outcome of a check.
type Report struct {
	Level    Level     `json:"level"`
	Schema   int64     `json:"schema"`
	Rows     int       `json:"rows"`  // with a file
	Files    int       `json:"files"` // looked at
	Bytes    int64     `json:"bytes"` // of these
	Unused   int       `json:"unused_blobs"`
	Findings []Finding `json:"findings"`
}

// Target is the data folder to check.
type Target struct {
	Folder *folder.Folder
	Blobs  store.Blobs
	// Settle is for a folder that is in use: what looks wrong is looked at again
	// after this time, since rows and files come and go one after the other. 0 is
	// for a folder that nobody else has open.
	Settle time.Duration
}

// Run checks a data folder. The error is that of a check that could not be made.
func Run(ctx context.Context, t Target, level Level) (Report, error) {
	r, err := look(ctx, t, level)
	if err != nil {
		return r, fmt.Errorf("check data folder: %w", err)
	}
	if t.Settle > 0 && len(r.Findings) > 0 {
		select {
		case <-ctx.Done():
			return r, fmt.Errorf("check data folder: %w", ctx.Err())
		case <-time.After(t.Settle):
		}
		again, err := look(ctx, t, level)
		if err != nil {
			return r, fmt.Errorf("check data folder: %w", err)
		}
		again.Findings = both(r.Findings, again.Findings)
		r = again
	}
	return r, nil
}

// both are the findings of b that a has, too.
func both(a, b []Finding) []Finding {
	had := map[Finding]bool{}
	for _, f := range a {
		had[f] = true
	}
	kept := []Finding{}
	for _, f := range b {
		if had[f] {
			kept = append(kept, f)
		}
	}
	return kept
}

func look(ctx context.Context, t Target, level Level) (Report, error) {
	l := &looker{Target: t, level: level, report: Report{Level: level, Findings: []Finding{}}}
	if t.Settle == 0 {
		if err := badger.Check(t.Folder.Series()); err != nil {
			l.found(Finding{Kind: KindSeries, File: "series", What: fmt.Sprintf("annotations and metrics are damaged (%v); the next start empties them", err)})
		}
	}
	db, err := sqlite.Inspect(ctx, t.Folder.DB())
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
			return l.report, err
		}
		l.found(Finding{Kind: KindDatabase, File: "detectd.db", What: fmt.Sprintf("%v; restore a backup into a new folder", err)})
		return l.report, nil
	}
	defer func() { _ = db.Close() }()
	l.db = db
	for _, step := range []func(context.Context) error{l.database, l.blobs, l.media} {
		if err := step(ctx); err != nil {
			return l.report, err
		}
	}
	return l.report, nil
}

// looker is one look at a folder.
type looker struct {
	Target
	level  Level
	db     *sqlite.Inspection
	report Report
}

func (l *looker) found(f Finding) { l.report.Findings = append(l.report.Findings, f) }

func (l *looker) database(ctx context.Context) (err error) {
	if l.report.Schema, err = l.db.Schema(ctx); err != nil {
		return err
	}
	newest, err := sqlite.Newest()
	if err != nil {
		return err
	}
	if l.report.Schema > newest {
		return fmt.Errorf("the database has schema %d, this detectd knows %d: %w", l.report.Schema, newest, store.ErrNewerSchema)
	}
	wrong, err := l.db.Integrity(ctx, l.level == Presence)
	if err != nil {
		return err
	}
	for _, w := range wrong {
		l.found(Finding{Kind: KindDatabase, File: "detectd.db", What: w + "; restore a backup into a new folder"})
	}
	id, err := l.db.Folder(ctx)
	if err == nil && id != "" && id != l.Folder.ID() {
		l.found(Finding{Kind: KindFolder, File: "detectd.db", What: fmt.Sprintf(
			"it belongs to data folder %s, this is %s; bring back this folder's database, or restore a backup into a new folder", id, l.Folder.ID())})
	}
	return err
}

func (l *looker) blobs(ctx context.Context) error {
	named, err := l.db.Blobs(ctx)
	if err != nil {
		return err
	}
	there := map[string]int64{}
	err = l.Blobs.Each(ctx, func(address string, size int64) error {
		there[address] = size
		l.report.Files++
		l.report.Bytes += size
		return nil
	})
	if err != nil {
		return err
	}
	used, sums := map[string]bool{}, map[string]string{}
	for _, f := range named {
		used[f.Name] = true
		l.report.Rows++
		what, kind, err := l.blob(ctx, f, there, sums)
		if err != nil {
			return err
		}
		if what != "" {
			l.found(Finding{Kind: kind, File: blobFile(f.Name), Row: f.Row(), What: what + "; " + wayOut(f), row: f})
		}
	}
	for address := range there {
		if !used[address] {
			l.report.Unused++
		}
	}
	return nil
}

// blob says what is wrong with a blob; sums holds those that were read before.
func (l *looker) blob(ctx context.Context, f sqlite.File, there map[string]int64, sums map[string]string) (what, kind string, err error) {
	size, ok := there[f.Name]
	switch {
	case !ok:
		return "its file is missing", KindMissing, nil
	case l.level != Presence && f.Bytes >= 0 && size != f.Bytes:
		return fmt.Sprintf("its file has %d bytes, not %d", size, f.Bytes), KindDamaged, nil
	case l.level != Hash:
		return "", "", nil
	}
	sum, done := sums[f.Name]
	if !done {
		if sum, err = l.sum(ctx, f.Name); err != nil {
			return "", "", err
		}
		sums[f.Name] = sum
	}
	if sum != f.Name {
		return "its file is not the one that was stored", KindDamaged, nil
	}
	return "", "", nil
}

// sum reads a blob. One that the disk cannot read has no sum.
func (l *looker) sum(ctx context.Context, address string) (string, error) {
	r, _, err := l.Blobs.Open(ctx, address)
	if err != nil {
		return "", ctx.Err()
	}
	defer func() { _ = r.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, reader{ctx, r}); err != nil {
		return "", ctx.Err()
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func wayOut(f sqlite.File) string {
	switch f.Kind {
	case "model":
		return "add its file again, or restore a backup"
	case "overlay":
		return "restore a backup, or remove this version and add its file again"
	case "artifact":
		return "restore a backup, or remove this artifact and add its file again"
	}
	return "--repair takes the " + f.Kind + " out"
}

func blobFile(address string) string {
	return "blobs/" + address[:min(2, len(address))] + "/" + address
}

func (l *looker) media(ctx context.Context) error {
	rows, err := l.db.Segments(ctx)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(rows))
	for _, f := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		known[f.Name] = true
		l.report.Rows++
		l.segment(f)
	}
	root := l.Folder.Media()
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went meanwhile
		}
		if err = errors.Join(err, ctx.Err()); err != nil || d.IsDir() || !strings.HasSuffix(path, ".mp4") {
			return err // unfinished recordings have another suffix
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		l.report.Files++
		name := filepath.ToSlash(rel)
		if known[name] {
			return nil
		}
		has, err := l.db.HasSegment(ctx, name)
		if err == nil && !has {
			l.found(Finding{Kind: KindOrphan, File: "media/" + name, What: "no row names it; the camera's next start takes up what is younger than two days, --repair moves it to quarantine"})
		}
		return err
	})
}

func (l *looker) segment(f sqlite.File) {
	info, err := os.Stat(filepath.Join(l.Folder.Media(), filepath.FromSlash(f.Name)))
	finding := Finding{File: "media/" + f.Name, Row: f.Row(), row: f}
	switch {
	case err != nil:
		finding.Kind, finding.What = KindMissing, "its file is missing; --repair takes the segment out"
	case l.level != Presence && info.Size() != f.Bytes:
		finding.Kind, finding.What = KindDamaged, fmt.Sprintf("its file has %d bytes, not %d; what is left of it can be played", info.Size(), f.Bytes)
	}
	if err == nil {
		l.report.Bytes += info.Size()
	}
	if finding.Kind != "" {
		l.found(finding)
	}
}

// reader ends with its context.
type reader struct {
	ctx context.Context
	r   io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
