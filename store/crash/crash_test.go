package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/store/check"
	"detectd/store/crashtest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(write(dir, os.Getenv(childRound)))
	}
	os.Exit(m.Run())
}

func startWriter(t *testing.T, dir string, round int) *crashtest.Writer {
	t.Helper()
	return crashtest.Start(t, childDir+"="+dir, fmt.Sprintf("%s=%d", childRound, round))
}

// told returns what a writer has acknowledged so far.
func told(t *testing.T, w *crashtest.Writer) (acks []ack) {
	t.Helper()
	for _, line := range w.Told() {
		var a ack
		require.NoError(t, json.Unmarshal([]byte(line), &a), line)
		acks = append(acks, a)
	}
	return acks
}

// TestKilled kills the writer at points that chance picks, again and again in the
// same folder.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	chance := rand.New(rand.NewPCG(1, 2))
	var acks []ack
	points := crashtest.Points(t, 20)
	for round := range points {
		p := startWriter(t, dir, round)
		p.Running(t, 1+chance.IntN(60), time.Duration(chance.IntN(3000))*time.Microsecond)
		p.Kill(t)
		acks = append(acks, told(t, p)...)
		requireKept(t, dir, acks, acks)
	}
	t.Logf("%d points, %d acknowledged records kept", points, len(acks))
}

// requireKept recovers a data folder and requires what was acknowledged to be
// there, every row to have its file and, after the recovery, every file its row. later
// is all that may be there: what was acknowledged while the disk was taken, too.
func requireKept(t *testing.T, dir string, acks, later []ack) {
	t.Helper()
	s, err := openStores(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()

	target := check.Target{Folder: s.folder, Blobs: s.blobs}
	r, err := check.Run(t.Context(), target, check.Hash)
	require.NoError(t, err)
	for _, f := range r.Findings {
		require.Equal(t, check.KindOrphan, f.Kind, "%+v", f)
	}
	require.LessOrEqual(t, len(r.Findings), 2, "one file at most of each of two writers: %+v", r.Findings)
	recovered(t, s, target, r)

	gone, newest := map[string]bool{}, map[string]int{}
	for _, a := range later {
		gone[a.ID] = gone[a.ID] || a.Kind == "removed" || a.Kind == "unversioned"
		if a.Kind == "champion" {
			newest[strings.Split(a.ID, "-")[0]] = number(t, a.ID)
		}
	}
	runs, champions := map[string]string{}, map[string]int{}
	for _, a := range acks {
		if a.Kind == "version" && gone[a.ID] {
			continue
		}
		if err := s.requireOne(t, a); err != nil {
			t.Fatalf("%s %s was acknowledged: %v", a.Kind, a.ID, err)
		}
		if a.Kind == "running" {
			runs["door"+strings.Split(a.ID[1:], "-")[0]] = a.ID
		}
		if a.Kind == "champion" {
			champions[strings.Split(a.ID, "-")[0]] = number(t, a.ID)
		}
	}
	for model, version := range champions {
		v, err := s.records.AliasVersion(t.Context(), model, "champion")
		require.NoError(t, err)
		require.GreaterOrEqual(t, v.Version, version, "the champion of %s", model)
		require.LessOrEqual(t, v.Version, newest[model]+1)
	}
	for camera, model := range runs { // the last one told, or one after it
		got, err := s.records.RunningModel(t.Context(), "a", camera)
		require.NoError(t, err)
		require.GreaterOrEqual(t, number(t, got.Model), number(t, model))
	}
}

func number(t *testing.T, id string) int {
	t.Helper()
	n, err := strconv.Atoi(id[strings.LastIndexByte(id, '-')+1:])
	require.NoError(t, err)
	return n
}

// recovered does what a start of the daemon does: unused blobs go, deletions that
// were begun are finished, and files without a row find their place.
func recovered(t *testing.T, s *stores, target check.Target, r check.Report) {
	t.Helper()
	ctx := t.Context()
	_, err := s.blobs.Sweep(ctx, false)
	require.NoError(t, err)
	paths, err := s.records.Garbage(ctx, 1000)
	require.NoError(t, err)
	for _, p := range paths {
		if err := os.Remove(filepath.Join(s.folder.Media(), p)); err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
		}
	}
	require.NoError(t, s.records.ForgetGarbage(ctx, paths))
	_, err = check.Repair(ctx, target, r)
	require.NoError(t, err)
	again, err := check.Run(ctx, target, check.Size)
	require.NoError(t, err)
	require.Empty(t, again.Findings)
	require.Zero(t, again.Unused)
}

// requireOne looks for one acknowledged record.
func (s *stores) requireOne(t *testing.T, a ack) error {
	t.Helper()
	ctx := t.Context()
	switch a.Kind {
	case "camera":
		_, err := s.records.Camera(ctx, a.ID)
		return err
	case "renamed":
		c, err := s.records.Camera(ctx, a.ID)
		require.Equal(t, "renamed", c.Name)
		return err
	case "model":
		v, err := s.records.ModelVersion(ctx, a.ID, 1)
		require.Equal(t, a.File, v.SHA256)
		return err
	case "version":
		v, err := s.records.ModelVersion(ctx, a.ID[:strings.LastIndexByte(a.ID, '-')], number(t, a.ID))
		if errors.Is(err, store.ErrNotFound) {
			// It may have been deleted without anybody being told: that is how the writer ended.
			newest, err := s.records.AliasVersion(ctx, a.ID[:strings.LastIndexByte(a.ID, '-')], "champion")
			require.NoError(t, err)
			require.Equal(t, newest.Version-2, number(t, a.ID))
			return nil
		}
		require.Equal(t, a.File, v.SHA256)
		return err
	case "unversioned":
		_, err := s.records.ModelVersion(ctx, a.ID[:strings.LastIndexByte(a.ID, '-')], number(t, a.ID))
		require.ErrorIs(t, err, store.ErrNotFound, "%s", a.ID)
		return nil
	case "running", "champion": // see requireKept
		return nil
	case "result":
		r, err := s.records.Result(ctx, a.ID)
		require.Equal(t, a.File, r.SHA256)
		return err
	case "removed":
		_, err := s.records.Result(ctx, a.ID)
		require.ErrorIs(t, err, store.ErrNotFound, "%s", a.ID)
		return nil
	case "segment":
		n, err := strconv.ParseInt(a.ID, 10, 64)
		require.NoError(t, err)
		g, err := s.records.Segment(ctx, n)
		require.Equal(t, a.File, g.Path)
		return err
	case "event":
		all, _, err := s.records.ListEvents(ctx, "", a.ID, store.Range{}, store.Page{})
		require.Len(t, all, 1, "event %s", a.ID)
		return err
	case "track":
		_, err := s.records.Track(ctx, a.ID)
		return err
	}
	return fmt.Errorf("unknown kind %q", a.Kind)
}
