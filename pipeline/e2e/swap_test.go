package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
)

type runningState struct {
	CameraID string     `json:"camera_id"`
	Wanted   runningRef `json:"wanted"`
	Running  runningRef `json:"running"`
	State    string     `json:"state"`
	Since    time.Time  `json:"since"`
}

type runningRef struct {
	Alias   string `json:"alias"`
	Version int    `json:"version"`
}

// TestEightCamerasSwapLive: eight live cameras that follow an alias swap when it
// moves, without a lost frame. What it took is printed.
func TestEightCamerasSwapLive(t *testing.T) {
	t.Parallel()
	const cameras, moves, fps = 8, 6, 5.0
	d := start(t)
	file := detecttest.Bright(t)
	for _, tail := range []string{"", "\x1a\x01b"} { // another producer_version makes another file
		a := d.api(t, http.MethodPost, "/models?name=yard", append(append([]byte(nil), file...), tail...), nil)
		require.Equal(t, http.StatusCreated, a.Status)
	}
	d.api(t, http.MethodPut, "/models/yard/aliases/champion", body{"version": 1}, nil)
	d.api(t, http.MethodPut, "/running-models/default", body{"model": "yard", "alias": "champion", "detect_fps": fps}, nil, "If-Match", `"0"`)
	url := plainCamera(t)
	for i := range cameras {
		d.addCamera(t, fmt.Sprint("Live ", i), url, body{"id": fmt.Sprint("live", i)})
	}
	before := map[string]status{}
	for i := range cameras {
		id := fmt.Sprint("live", i)
		d.becomes(t, id, "running")
		d.goesOn(t, id)
		before[id] = d.camera(t, id).Status
	}
	slowest := time.Duration(0)
	began := time.Now()
	for n := range moves {
		from, to := 1+n%2, 2-n%2
		moved := time.Now()
		d.api(t, http.MethodPut, "/models/yard/aliases/champion", body{"version": to, "expect": from}, nil)
		soon(t, func(t require.TestingT) {
			states := list[runningState](t, d.client, "/running-states")
			require.Len(t, states, cameras)
			for _, s := range states {
				require.Equal(t, []any{"applied", to, to, "champion"}, []any{s.State, s.Wanted.Version, s.Running.Version, s.Wanted.Alias})
				slowest = max(slowest, s.Since.Sub(moved))
			}
		})
		soon(t, func(t require.TestingT) { // every camera has results of the new version
			for i := range cameras {
				var page items[annotation]
				d.get(t, fmt.Sprintf("/annotations?camera_id=live%d&limit=1000&from=%s", i, moved.UTC().Format(time.RFC3339Nano)), &page)
				found := false
				for _, a := range page.Items {
					found = found || a.Kind == "detected" && a.ModelVersion == to
				}
				require.True(t, found, "camera %d has nothing of version %d", i, to)
			}
		})
	}
	gap, usual, swaps := time.Duration(0), time.Duration(0), 0
	for i := range cameras {
		id := fmt.Sprint("live", i)
		after := d.camera(t, id).Status
		for _, drop := range []string{"failed", "decode", "corrupt"} {
			require.Equal(t, before[id].Drops[drop], after.Drops[drop], "%s of %s", drop, id)
		}
		require.Equal(t, before[id].Reconnects, after.Reconnects)
		g, same, n := swapGap(t, list[annotation](t, d.client, "/annotations?camera_id="+id), began)
		gap, usual, swaps = max(gap, g), max(usual, same), swaps+n
	}
	require.Equal(t, cameras*moves, swaps, "each camera swapped each time, and never back")
	t.Logf("%d cameras, %d moves: applied %s after the move at most; %s from the last old to the first new result at most, %s between two of the same version, period %s",
		cameras, moves, slowest.Round(time.Millisecond), gap.Round(time.Millisecond), usual.Round(time.Millisecond), time.Duration(float64(time.Second)/fps))
}

// swapGap counts the swaps in the frames of a camera, of which none may be missing,
// and returns the longest time between two results of different versions, and between
// two of the same: what is due between two frames waits for the next one, so that both
// are up to a frame longer than the period.
func swapGap(t *testing.T, frames []annotation, from time.Time) (gap, same time.Duration, swaps int) {
	t.Helper()
	var last annotation
	for i, a := range frames {
		require.Equal(t, uint64(i+1), a.Frame, "no frame is lost") //nolint:gosec // a count
		if a.Kind != "detected" {
			continue
		}
		if last.ModelVersion != 0 && a.Time.After(from) {
			if between := a.Time.Sub(last.Time); a.ModelVersion == last.ModelVersion {
				same = max(same, between)
			} else {
				gap, swaps = max(gap, between), swaps+1
			}
		}
		last = a
	}
	return gap, same, swaps
}
