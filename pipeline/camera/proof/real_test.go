package proof

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline/activity"
	"detectd/pipeline/frame"
)

// TestReal compares what is found in a video with what `detectd detect` found in
// all its frames. DETECTD_PROOF_VIDEO is the video and DETECTD_PROOF_REFERENCE the
// output of that command. It says how many frames with objects were decoded, and
// of the events that began while the camera was idle or still, how many from their first
// frame on. An event is an object of a score of at least 0.5 after two seconds
// without any. DETECTD_PROOF_ORDER plays parts of the video, which begin and end at
// key pictures, as often as wanted: "46-49x8 49-54" plays eight times what is from
// 46 to 49 s, and then what follows up to 54 s.
func TestReal(t *testing.T) {
	path := os.Getenv("DETECTD_PROOF_VIDEO")
	if path == "" {
		t.Skip("DETECTD_PROOF_VIDEO is not set")
	}
	const least = 0.5
	v, err := Read(t.Context(), path)
	require.NoError(t, err)
	found := reference(t, os.Getenv("DETECTD_PROOF_REFERENCE"))
	if order := os.Getenv("DETECTD_PROOF_ORDER"); order != "" {
		v, found = arrange(t, v, found, order)
	}
	times := v.times()
	require.Len(t, found, len(times))
	p, err := Play(t.Context(), v, func(f *frame.Frame) []detect.Detection { return found[nearest(times, f.PTS)] }, nil)
	require.NoError(t, err)

	var r Report
	last := -time.Minute
	frames, annotated, decoded, started := 0, 0, 0, 0
	for i, at := range times {
		r.Decoded += p.Decoded[at]
		certain := false
		for _, d := range found[i] {
			certain = certain || d.Score >= least
		}
		if !certain {
			continue
		}
		frames++
		if len(p.Annotations[i].Objects) > 0 {
			annotated++
		}
		if p.Decoded[at] > 0 {
			decoded++
		}
		if at-last > 2*time.Second {
			r.Visits++
			if p.Decoded[at] > 0 {
				started++
			}
			if state := p.Before(at); state == activity.Idle || state == activity.Still {
				r.FromIdle++
				if state == activity.Still {
					r.Still++
				}
				if p.Decoded[at] > 0 {
					r.First++
				} else {
					t.Logf("the event at %s was not decoded", at)
				}
				for k := i; k < min(len(times), i+10); k++ {
					if len(p.Annotations[k].Objects) > 0 {
						r.Found++
						break
					}
				}
			}
		}
		last = at
	}
	r.Scenes, r.Units, r.Asked = 1, len(times), int(p.Status.Inferences) //nolint:gosec // hundreds
	r.Full = int((times[len(times)-1] - times[0]).Seconds() * perSecond)
	t.Log(r)
	t.Logf("of %d frames with an object %d were decoded and %d are annotated with one; of %d events the first frame of %d was decoded; %v",
		frames, decoded, annotated, r.Visits, started, p.Reasons)
}

func arrange(t *testing.T, v Video, found [][]detect.Detection, order string) (out Video, refs [][]detect.Detection) {
	t.Helper()
	out.Format = v.Format
	times := v.times()
	var at time.Duration
	for part := range strings.FieldsSeq(order) {
		var from, to float64
		repeat := 1
		n, err := fmt.Sscanf(part, "%f-%fx%d", &from, &to, &repeat)
		require.True(t, err == nil || n == 2, part)
		begin, end := time.Duration(from*float64(time.Second)), time.Duration(to*float64(time.Second))
		for range repeat {
			for i, pts := range times {
				if pts >= begin && pts < end {
					refs = append(refs, found[i])
				}
			}
			for _, u := range v.Units {
				if u.PTS >= begin && u.PTS < end {
					u.PTS += at - begin
					out.Units = append(out.Units, u)
				}
			}
			at += end - begin
		}
	}
	return out, refs
}

func nearest(times []time.Duration, pts time.Duration) int {
	best := 0
	for i, at := range times {
		if math.Abs(float64(at-pts)) < math.Abs(float64(times[best]-pts)) {
			best = i
		}
	}
	return best
}

func reference(t *testing.T, path string) (all [][]detect.Detection) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close() //nolint:errcheck // it was read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			Detections []struct {
				Label string     `json:"label"`
				Score float32    `json:"score"`
				Box   [4]float32 `json:"box"`
			} `json:"detections"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		dets := []detect.Detection{}
		for _, d := range line.Detections {
			dets = append(dets, detect.Detection{Label: d.Label, Score: d.Score, Box: detect.Box{X: d.Box[0], Y: d.Box[1], W: d.Box[2], H: d.Box[3]}})
		}
		all = append(all, dets)
	}
	return all
}
