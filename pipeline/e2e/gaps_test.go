package e2e

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

type coverage struct {
	Start    time.Time          `json:"start"`
	End      time.Time          `json:"end"`
	Covered  float64            `json:"covered_s"`
	Missing  float64            `json:"missing_s"`
	Unwanted float64            `json:"not_wanted_s"`
	Reasons  map[string]float64 `json:"reasons"`
	Gaps     []struct {
		Start  time.Time `json:"start"`
		End    time.Time `json:"end"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
	} `json:"gaps"`
}

// coverage expects that every second that is accounted for is either in a
// recording or in a gap, and returns the figures.
func (d *daemon) coverage(t require.TestingT, id string) coverage {
	return d.coverageSince(t, id, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
}

// coverageSince is coverage of the time since a moment.
func (d *daemon) coverageSince(t require.TestingT, id string, since time.Time) coverage {
	from := since.UTC().Format(time.RFC3339Nano)
	// Read first: a recording that comes meanwhile is of later time.
	var c coverage
	d.get(t, "/cameras/"+id+"/coverage?from="+from, &c)
	length := c.End.Sub(c.Start).Seconds()
	require.InDelta(t, length, c.Covered+c.Missing+c.Unwanted, 0.01)
	type span struct{ from, to time.Time }
	var spans []span
	for _, r := range list[recording](t, d.client, "/recordings?camera_id="+id+"&from="+from) {
		spans = append(spans, span{r.Start, r.End})
	}
	for _, g := range c.Gaps {
		spans = append(spans, span{g.Start, g.End})
	}
	for at := c.Start; at.Before(c.End); {
		next := at
		for _, s := range spans {
			if !s.from.After(at.Add(510*time.Millisecond)) && s.to.After(next) {
				next = s.to
			}
		}
		require.True(t, next.After(at), "nothing accounts for %v of %s", at, id)
		at = next
	}
	return c
}

// accounted waits until the time up to now is accounted for.
func (d *daemon) accounted(t *testing.T, id string) coverage {
	t.Helper()
	now, c := time.Now(), coverage{}
	soon(t, func(t require.TestingT) {
		c = d.coverage(t, id)
		require.True(t, c.End.After(now))
	})
	return c
}

// TestEverySecondIsAccountedFor: a camera that vanishes, kill -9, and recording
// that is switched off each leave a gap with its reason; all else is recorded.
func TestEverySecondIsAccountedFor(t *testing.T) {
	t.Parallel()
	s, stop := serve(t, simulate.Config{Files: []string{plain(t, pipeline.H264)}})
	url := s.URLs()[0]
	address := strings.Split(url, "/")[2]
	d := start(t)
	d.addCamera(t, "Door", url, body{"id": "door"})
	d.becomes(t, "door", "running")

	stop()
	soon(t, func(t require.TestingT) { require.NotEqual(t, "running", d.camera(t, "door").Status.State) })
	gone := time.Now()
	require.Eventually(t, func() bool { return time.Since(gone) > 6*time.Second }, patience, time.Second)
	serve(t, simulate.Config{Listen: address, Files: []string{plain(t, pipeline.H264)}})
	d.becomes(t, "door", "running")
	c := d.accounted(t, "door")
	require.Greater(t, c.Reasons["camera"], 5.0)

	d.kill()
	down := time.Now()
	require.Eventually(t, func() bool { return time.Since(down) > 3*time.Second }, patience, time.Second)
	d = startIn(t, d.dir)
	d.becomes(t, "door", "running")
	c = d.accounted(t, "door")
	require.Greater(t, c.Reasons["process_down"], 2.0)
	require.Less(t, c.Reasons["process_down"], math.Ceil(time.Since(down).Seconds())+2, "at most the last seconds before it died")

	d.api(t, "PUT", "/cameras/door", body{"name": "Door", "url": url, "record": "off"}, nil)
	c = d.accounted(t, "door")
	soon(t, func(t require.TestingT) {
		c = d.coverage(t, "door")
		require.NotZero(t, c.Reasons["off"])
	})
	// Reasons are looked for every second, so one may be noted a moment late.
	require.Less(t, c.Reasons["no_video"], 2.0)
	require.Zero(t, c.Reasons["disk_full"]+c.Reasons["disk_error"]+c.Reasons["overload"]+c.Reasons["clock_jump"], "%v", c.Reasons)
	soon(t, func(t require.TestingT) {
		seen := false
		for _, e := range list[struct{ Kind string }](t, d.client, "/events?camera_id=door&kind=recording.gap") {
			seen = seen || e.Kind == "recording.gap"
		}
		require.True(t, seen || c.Reasons["camera"] < 10)
	})
}
