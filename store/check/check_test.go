package check

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// target is a data folder with a model, a result and three recordings.
func target(t *testing.T) (Target, *sqlite.Store) {
	t.Helper()
	ctx := t.Context()
	f, err := folder.Open(filepath.Join(t.TempDir(), "data"))
	require.NoError(t, err)
	records, err := sqlite.Open(ctx, f.DB(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.NoError(t, records.BindFolder(ctx, f.ID()))
	blobs, err := blob.Open(f.BlobsURL())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, blobs.Close())
		require.NoError(t, records.Close())
		require.NoError(t, f.Close())
	})
	put := func(text string) string {
		address, _, err := blobs.Put(ctx, strings.NewReader(text))
		require.NoError(t, err)
		return address
	}
	_, err = records.AddModelVersion(ctx, store.Model{Name: "m"}, store.ModelVersion{SHA256: put("model"), Size: 5})
	require.NoError(t, err)
	require.NoError(t, records.PutResult(ctx, store.Result{ID: "r", SHA256: put("picture"), Bytes: 7, Input: put("input")}))
	put("unused")
	_, err = records.CreateClient(ctx, store.Client{ID: "a"})
	require.NoError(t, err)
	_, err = records.CreateCamera(ctx, store.Camera{ID: "door", ClientID: "a"})
	require.NoError(t, err)
	for i := range 3 {
		path := fmt.Sprintf("door/2026-03-14/%d.mp4", i)
		write(t, filepath.Join(f.Media(), path), path)
		_, err := records.AddSegment(ctx, store.Segment{CameraID: "door", Path: path, Bytes: int64(len(path))})
		require.NoError(t, err)
	}
	return Target{Folder: f, Blobs: blobs}, records
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestAllIsWell(t *testing.T) {
	target, records := target(t)
	write(t, filepath.Join(target.Folder.Media(), "door", "x.mp4.part"), "being recorded")
	write(t, filepath.Join(target.Folder.Media(), "door/2026-03-14/9.mp4"), "to be removed")
	g, err := records.AddSegment(t.Context(), store.Segment{CameraID: "door", Path: "door/2026-03-14/9.mp4"})
	require.NoError(t, err)
	require.NoError(t, records.DropSegments(t.Context(), []int64{g.ID}))
	for _, level := range []Level{Presence, Size, Hash} {
		r, err := Run(t.Context(), target, level)
		require.NoError(t, err)
		require.Empty(t, r.Findings)
		require.Equal(t, 6, r.Rows)
		require.Equal(t, 1, r.Unused)
		newest, err := sqlite.Newest()
		require.NoError(t, err)
		require.Equal(t, newest, r.Schema)
	}
}

// TestFaults damages one thing each and says at which level it is found, and what
// is left of it after a repair.
func TestFaults(t *testing.T) {
	file := func(f *folder.Folder, name string) string { return filepath.Join(f.Path(), name) }
	blobOf := func(t *testing.T, s *sqlite.Store, result bool) string {
		r, err := s.Result(t.Context(), "r")
		require.NoError(t, err)
		v, err := s.ModelVersion(t.Context(), "m", 1)
		require.NoError(t, err)
		address := v.SHA256
		if result {
			address = r.SHA256
		}
		return blobFile(address)
	}
	type fault struct {
		damage        func(t *testing.T, f *folder.Folder, s *sqlite.Store)
		from          Level // the lowest level that finds it
		kind          string
		stays         bool
		moved, forgot int
	}
	for name, c := range map[string]fault{
		"segment gone": {func(t *testing.T, f *folder.Folder, _ *sqlite.Store) {
			require.NoError(t, os.Remove(file(f, "media/door/2026-03-14/1.mp4")))
		}, Presence, KindMissing, false, 0, 1},
		"segment cut": {func(t *testing.T, f *folder.Folder, _ *sqlite.Store) {
			write(t, file(f, "media/door/2026-03-14/1.mp4"), "x")
		}, Size, KindDamaged, true, 0, 0},
		"segment without row": {func(t *testing.T, f *folder.Folder, _ *sqlite.Store) {
			write(t, file(f, "media/gone/2026-03-14/1.mp4"), "x")
		}, Presence, KindOrphan, false, 1, 0},
		"result gone": {func(t *testing.T, f *folder.Folder, s *sqlite.Store) {
			require.NoError(t, os.Remove(file(f, blobOf(t, s, true))))
		}, Presence, KindMissing, false, 0, 1},
		"result cut": {func(t *testing.T, f *folder.Folder, s *sqlite.Store) {
			write(t, file(f, blobOf(t, s, true)), "x")
		}, Size, KindDamaged, false, 1, 1},
		"result changed": {func(t *testing.T, f *folder.Folder, s *sqlite.Store) {
			write(t, file(f, blobOf(t, s, true)), "pictUre")
		}, Hash, KindDamaged, false, 1, 1},
		"model gone": {func(t *testing.T, f *folder.Folder, s *sqlite.Store) {
			require.NoError(t, os.Remove(file(f, blobOf(t, s, false))))
		}, Presence, KindMissing, true, 0, 0},
		"model changed": {func(t *testing.T, f *folder.Folder, s *sqlite.Store) {
			write(t, file(f, blobOf(t, s, false)), "modEl")
		}, Hash, KindDamaged, true, 0, 0},
		"other folder": {func(t *testing.T, f *folder.Folder, _ *sqlite.Store) {
			db, err := sqlite.Inspect(t.Context(), f.DB())
			require.NoError(t, err)
			require.NoError(t, db.Rebind(t.Context(), "other"))
			require.NoError(t, db.Close())
		}, Presence, KindFolder, true, 0, 0},
		"series": {func(t *testing.T, f *folder.Folder, _ *sqlite.Store) {
			write(t, file(f, "series/MANIFEST"), "x")
		}, Presence, KindSeries, true, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			target, records := target(t)
			c.damage(t, target.Folder, records)
			found := false
			for _, level := range []Level{Presence, Size, Hash} {
				found = found || level == c.from
				r, err := Run(t.Context(), target, level)
				require.NoError(t, err)
				if !found {
					require.Empty(t, r.Findings, level)
					continue
				}
				require.Len(t, r.Findings, 1, level)
				require.Equal(t, c.kind, r.Findings[0].Kind)
				require.NotEmpty(t, r.Findings[0].What)
			}
			r, err := Run(t.Context(), target, Hash)
			require.NoError(t, err)
			done, err := Repair(t.Context(), target, r)
			require.NoError(t, err)
			require.Equal(t, []int{c.moved, c.forgot}, []int{done.Files, done.Rows})
			r, err = Run(t.Context(), target, Hash)
			require.NoError(t, err)
			require.Equal(t, c.stays, len(r.Findings) == 1, "%v", r.Findings)
			requireKept(t, target.Folder, done)
		})
	}
}

// requireKept finds all that was moved or taken out in the quarantine.
func requireKept(t *testing.T, f *folder.Folder, done Repaired) {
	t.Helper()
	dir := filepath.Join(f.Path(), done.Folder)
	if done.Rows > 0 {
		text, err := os.ReadFile(filepath.Join(dir, "rows.jsonl"))
		require.NoError(t, err)
		var row map[string]any
		require.NoError(t, json.Unmarshal(text, &row))
		require.NotEmpty(t, row["id"])
	}
	files := 0
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "rows.jsonl" {
			files++
		}
		return nil
	})
	require.Equal(t, done.Files, files)
}

func TestDamagedDatabase(t *testing.T) {
	target, records := target(t)
	require.NoError(t, records.Close())
	content, err := os.ReadFile(target.Folder.DB())
	require.NoError(t, err)
	copy(content[len(content)/2:], strings.Repeat("damage", 2000))
	require.NoError(t, os.WriteFile(target.Folder.DB(), content, 0o600))
	r, err := Run(t.Context(), target, Presence)
	if err != nil {
		require.ErrorContains(t, err, "malformed")
		return
	}
	require.Equal(t, KindDatabase, r.Findings[0].Kind)

	require.NoError(t, os.WriteFile(target.Folder.DB(), []byte("no database at all, but a text of some length"), 0o600))
	r, err = Run(t.Context(), target, Presence)
	require.NoError(t, err)
	require.Len(t, r.Findings, 1)
	require.Contains(t, r.Findings[0].What, "restore a backup")
}

func TestRepairNeedsTheFolderForItself(t *testing.T) {
	target, _ := target(t)
	target.Settle = 1
	_, err := Repair(t.Context(), target, Report{})
	require.ErrorContains(t, err, "stop the running detectd first")
}

// TestWhatSettlesIsNotReported has a row come while the check runs beside the owner.
func TestWhatSettlesIsNotReported(t *testing.T) {
	target, _ := target(t)
	write(t, filepath.Join(target.Folder.Media(), "door/2026-03-14/7.mp4"), "x")
	write(t, filepath.Join(target.Folder.Media(), "door/2026-03-14/8.mp4"), "x")
	first, err := look(t.Context(), target, Presence)
	require.NoError(t, err)
	require.Len(t, first.Findings, 2)
	require.NoError(t, os.Remove(filepath.Join(target.Folder.Media(), "door/2026-03-14/7.mp4")))
	write(t, filepath.Join(target.Folder.Media(), "door/2026-03-14/9.mp4"), "x")
	second, err := look(t.Context(), target, Presence)
	require.NoError(t, err)
	kept := both(first.Findings, second.Findings)
	require.Len(t, kept, 1)
	require.Equal(t, "media/door/2026-03-14/8.mp4", kept[0].File)
	target.Settle = 1
	r, err := Run(t.Context(), target, Presence)
	require.NoError(t, err)
	require.Len(t, r.Findings, 2)
}

// TestLostRecordingIsInTheLedger: a repair enters the time of a recording whose
// file is gone into the ledger of gaps, so that nothing counts it as recorded.
func TestLostRecordingIsInTheLedger(t *testing.T) {
	ctx := t.Context()
	target, records := target(t)
	noon := time.Date(2026, 3, 15, 12, 0, 0, 0, time.UTC)
	_, err := records.OpenLedger(ctx, "door", noon)
	require.NoError(t, err)
	for i := range 3 {
		path := fmt.Sprintf("door/2026-03-15/%d.mp4", i)
		write(t, filepath.Join(target.Folder.Media(), path), path)
		_, err := records.AddSegment(ctx, store.Segment{
			CameraID: "door", Path: path, Bytes: int64(len(path)),
			Start: noon.Add(time.Duration(i) * time.Minute), End: noon.Add(time.Duration(i+1) * time.Minute),
		})
		require.NoError(t, err)
	}
	_, _, err = records.AccountGaps(ctx, []store.Account{{CameraID: "door", To: noon.Add(4 * time.Minute), Causes: []store.Cause{{From: noon, Reason: store.GapOff}}}})
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(target.Folder.Media(), "door/2026-03-15/1.mp4")))

	r, err := Run(ctx, target, Size)
	require.NoError(t, err)
	_, err = Repair(ctx, target, r)
	require.NoError(t, err)
	c, err := records.Coverage(ctx, "door", store.Range{})
	require.NoError(t, err)
	require.Equal(t, 2*time.Minute, c.Covered)
	require.Equal(t, map[store.GapReason]time.Duration{store.GapLost: time.Minute, store.GapOff: time.Minute}, c.Reasons)
	gaps, _, err := records.ListGaps(ctx, "door", store.Range{}, store.Page{})
	require.NoError(t, err)
	require.Equal(t, noon.Add(time.Minute), gaps[0].From)
	require.Equal(t, noon.Add(2*time.Minute), gaps[0].To)
}
