package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

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
// errs on every frame.
func TestRecordingNeedsNoDetection(t *testing.T) {
	t.Parallel()
	d := withCamera(t)
	d.stop()
	putModel(t, d.dir, "errs", detecttest.Failing(t))
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
