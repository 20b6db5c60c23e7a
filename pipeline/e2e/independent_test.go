package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3" // to hold the database of a daemon
	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// putModel adds a model to the data folder of a daemon that is stopped, past all
// that would refuse it.
func putModel(t *testing.T, dir, name string, file []byte) {
	t.Helper()
	f, err := folder.Open(dir)
	require.NoError(t, err)
	records, err := sqlite.Open(t.Context(), f.DB(), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	blobs, err := blob.Open(f.BlobsURL())
	require.NoError(t, err)
	sum, size, err := blobs.Put(t.Context(), bytes.NewReader(file))
	require.NoError(t, err)
	contract, err := json.Marshal(detecttest.BrightContract())
	require.NoError(t, err)
	_, err = records.AddModelVersion(t.Context(), store.Model{Name: name},
		store.ModelVersion{SHA256: sum, Size: size, Family: "yolox", Contract: contract})
	require.NoError(t, err)
	require.NoError(t, blobs.Close())
	require.NoError(t, records.Close())
	require.NoError(t, f.Close())
}

// recordsOn expects that a camera is recorded without a gap while something is wrong.
func (d *daemon) recordsOn(t *testing.T, what string, length time.Duration) {
	t.Helper()
	from := time.Now()
	pause(t, length)
	to := time.Now()
	var c coverage
	soon(t, func(t require.TestingT) {
		c = d.coverageSince(t, "good", from)
		require.True(t, c.End.After(to))
	})
	require.Greater(t, c.Covered, length.Seconds()-1, "%s: %v", what, c.Gaps)
	require.Zero(t, c.Missing, "%s: %v", what, c.Gaps)
	t.Logf("%s: recorded %.1f s, no gap", what, c.Covered)
}

// TestRecordingNeedsNoDetection: a camera is recorded without a gap while its model
// errs on every frame, while the database takes nothing, so that reports, tracks and
// events are stuck, and while the model never answers.
func TestRecordingNeedsNoDetection(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	d.stop()
	putModel(t, d.dir, "errs", detecttest.Failing(t))
	putModel(t, d.dir, "waits", detecttest.Stuck(t))
	d = startIn(t, d.dir)
	d.becomes(t, "good", "running")
	soon(t, func(t require.TestingT) { require.True(t, d.camera(t, "good").Status.Recording) })

	d.setModel(t, "errs", 1)
	var failed float64
	soon(t, func(t require.TestingT) {
		s := d.camera(t, "good").Status
		require.Equal(t, "errs", s.Model)
		failed = float64(s.Drops["failed"])
		require.Greater(t, failed, 3.0)
	})
	d.recordsOn(t, "a model that errs", 8*time.Second)
	require.Greater(t, float64(d.camera(t, "good").Status.Drops["failed"]), failed, "it still erred")

	d.setModel(t, "bright", 0)
	soon(t, func(t require.TestingT) { require.Equal(t, "bright", d.camera(t, "good").Status.Model) })
	d.databaseIsHeld(t, 12*time.Second)

	d.setModel(t, "waits", 1)
	soon(t, func(t require.TestingT) {
		s := d.camera(t, "good").Status
		require.Equal(t, "waits", s.Model, s.ModelError)
	})
	inferred := d.camera(t, "good").Status.Inferences
	d.recordsOn(t, "a model that never answers", 8*time.Second)
	require.LessOrEqual(t, d.camera(t, "good").Status.Inferences, inferred+1, "it never answered")
	d.kill() // it would wait for the model
}

// databaseIsHeld expects that recording goes on while another program holds the
// database's write lock for longer than anybody waits for it, that changes are
// refused meanwhile, and that what was waiting is then kept.
func (d *daemon) databaseIsHeld(t *testing.T, length time.Duration) {
	t.Helper()
	w := d.writer(t)
	soon(t, func(t require.TestingT) { require.NotEmpty(t, w.all()) })
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(d.dir, "detectd.db")+"?_busy_timeout=5000&_txlock=immediate")
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	from := time.Now()
	for time.Since(from) < length {
		refused(t, d.send(t, http.MethodPost, "/api/v1/clients", body{"name": "late"}), http.StatusServiceUnavailable, "takes no changes")
	}
	require.NoError(t, tx.Rollback())
	c := d.accountedSince(t, "good", from)
	require.Zero(t, c.Missing, "%v", c.Gaps)
	require.Greater(t, c.Covered, length.Seconds()-1)
	soon(t, func(t require.TestingT) { // found while the lock was held
		require.NotEmpty(t, list[struct{}](t, d.client, "/tracks?camera_id=good&from="+from.UTC().Format(time.RFC3339Nano)))
	})
	before := len(w.all())
	soon(t, func(t require.TestingT) { require.Greater(t, len(w.all()), before) })
	w.stop()
	d.knowsAll(t, w)
	t.Logf("a database that takes nothing: recorded %.1f s, no gap", c.Covered)
}

// TestRecordingUnderLoad: many readers of the API, of pictures and of live video,
// some of whom stop reading, cost no second of a recording.
func TestRecordingUnderLoad(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	soon(t, func(t require.TestingT) { require.True(t, d.camera(t, "good").Status.Recording) })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered := map[int]int{}
	for i := range 24 {
		path := []string{
			"/api/v1/cameras", "/api/v1/recordings?camera_id=good&limit=1000", "/api/v1/detections?limit=1000",
			"/api/v1/annotations?camera_id=good&limit=1000", "/metrics", "/",
		}[i%6]
		wg.Go(func() {
			for ctx.Err() == nil {
				status := ask(ctx, d.client, path)
				mu.Lock()
				answered[status]++
				mu.Unlock()
			}
		})
	}
	for range 8 { // who open a stream and never read
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, d.base+"/api/v1/events/stream", nil)
		require.NoError(t, err)
		response, err := d.http.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
	}
	d.recordsOn(t, "under load", 10*time.Second)
	cancel()
	wg.Wait()
	t.Logf("answers by status: %v", answered)
	require.Greater(t, answered[http.StatusOK], 50)
}

// ask returns the status of an answer, 0 for none.
func ask(ctx context.Context, c *client, path string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+path, nil)
	if err != nil {
		return 0
	}
	response, err := c.http.Do(request)
	if err != nil {
		return 0
	}
	var sink bytes.Buffer
	_, _ = sink.ReadFrom(response.Body)
	_ = response.Body.Close()
	return response.StatusCode
}
