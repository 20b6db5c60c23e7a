package e2e

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store/crashtest"
)

// promised is what a daemon had said to be kept when the power went.
type promised struct {
	at         time.Time
	clients    []string
	recordings []recording
	results    []result // queued or done
}

// TestDaemonLosesItsPower takes the power from the disk of a daemon that records,
// renders, and takes models, and starts another on what is left: it starts, whatever
// became of the cache; every record, model, result and recording that had been shown is
// there byte for byte, what was queued is done, and of the video at most the file is
// lost that was open.
func TestDaemonLosesItsPower(t *testing.T) {
	t.Parallel()
	disk, dir := crashtest.MountDisk(t, 512<<20)
	d := startIn(t, filepath.Join(dir, "data"))
	defer d.kill()
	useBright(t, d)
	d.addCamera(t, "Good", plainCamera(t), body{"id": "good"})
	d.becomes(t, "good", "running")
	d.records(t)
	w := d.writer(t)
	chance := rand.New(rand.NewPCG(13, 14))
	var queued []result
	for range crashtest.Points(t, 3) {
		all := list[recording](t, d.client, "/recordings?camera_id=good")
		r := all[chance.IntN(len(all))]
		var made result
		d.api(t, http.MethodPost, "/results", body{"kind": "still", "camera_id": "good", "time": r.Start.Add(r.End.Sub(r.Start) / 2).UTC()}, &made)
		queued = append(queued, made)
		pause(t, time.Duration(chance.IntN(4000))*time.Millisecond)
		d.api(t, http.MethodPost, "/results", body{"kind": "clip", "camera_id": "good", "from": all[0].Start, "to": all[0].End}, &made)
		queued = append(queued, made)
		p := promised{clients: w.all(), recordings: list[recording](t, d.client, "/recordings?camera_id=good"), results: queued, at: time.Now()}
		left := disk.PowerCut(t, chance)
		left.Look(t, func(dir string) { d.requirePromised(t, filepath.Join(dir, "data"), p) })
	}
}

// requirePromised starts a daemon on what is left of the data folder of d.
func (d *daemon) requirePromised(t *testing.T, dir string, p promised) {
	t.Helper()
	n := startIn(t, dir)
	known := map[string]bool{}
	for _, c := range list[struct{ ID string }](t, n.client, "/clients") {
		known[c.ID] = true
	}
	for _, id := range p.clients {
		require.True(t, known[id], "client %s was acknowledged", id)
	}
	n.becomes(t, "good", "running") // with its model
	require.Equal(t, "bright", n.camera(t, "good").Status.Model)

	var last time.Time
	for _, r := range p.recordings {
		was, is := d.send(t, http.MethodGet, r.Video, nil), n.send(t, http.MethodGet, r.Video, nil)
		require.Equal(t, http.StatusOK, was.Status)
		require.Equal(t, http.StatusOK, is.Status, "recording %d was in the index", r.ID)
		require.True(t, bytes.Equal(was.Body, is.Body), "recording %d is another", r.ID)
		last = r.End
	}
	for _, r := range p.results {
		soon(t, func(t require.TestingT) {
			n.get(t, "/results/"+r.ID, &r)
			require.Equal(t, "done", r.State, r.Error)
		})
		require.Equal(t, http.StatusOK, n.send(t, http.MethodGet, r.Content, nil).Status)
	}
	n.records(t)
	n.goesOn(t, "good")
	n.showsLive(t)
	c := n.accounted(t, "good")
	lost := p.at.Sub(last) // the open file, and what its row was being written for
	require.Less(t, c.Reasons["file_lost"], 0.1, "%v", c.Gaps)
	n.kill()
	require.NotContains(t, n.log.String(), "panic")
	succeeds(t, "check", "--data", dir, "--level", "hash")
	t.Logf("%d clients, %d recordings, %d results kept; the last recording ended %.1f s before the cut", len(p.clients), len(p.recordings), len(p.results), lost.Seconds())
}

// showsLive expects live video.
func (d *daemon) showsLive(t *testing.T) {
	t.Helper()
	soon(t, func(t require.TestingT) {
		a := d.send(t, http.MethodGet, "/api/v1/cameras/good/live/index.m3u8", nil)
		require.Equal(t, http.StatusOK, a.Status)
		require.Contains(t, string(a.Body), "#EXTM3U")
	})
}
