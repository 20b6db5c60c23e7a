package e2e

import (
	"bytes"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
)

// heardRecording is what a recording tells of its sound.
type heardRecording struct {
	recording
	Audio  string  `json:"audio"`
	AudioS float64 `json:"audio_s"`
}

// TestSoundIsRecordedWhereItIsWanted: the sound of cameras is in their recordings and
// in what is played of them, until its switch is turned off.
func TestSoundIsRecordedWhereItIsWanted(t *testing.T) {
	t.Parallel()
	d := start(t)
	useBright(t, d)
	files := map[pipeline.Codec]string{pipeline.AAC: "aac.mp4", pipeline.PCMU: "pcmu.mov"}
	for codec, name := range files {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, simulate.Generate(path, simulate.Spec{FPS: 10, Frames: 300, GOP: 10, Plain: true, Sound: codec}))
		s, _ := serve(t, simulate.Config{Files: []string{path}})
		id := string(codec)
		camera := d.addCamera(t, "Camera "+id, s.URLs()[0], body{"id": id})
		d.becomes(t, id, "running")

		var all []heardRecording
		soon(t, func(t require.TestingT) {
			all = list[heardRecording](t, d.client, "/recordings?camera_id="+id)
			require.GreaterOrEqual(t, len(all), 4)
		})
		for _, r := range all[1:] { // the first may begin before its sound
			require.Equal(t, id, r.Audio)
			require.InDelta(t, r.End.Sub(r.Start).Seconds(), r.AudioS, 0.2)
		}
		span := "?from=" + all[1].Start.UTC().Format(time.RFC3339Nano) + "&to=" + all[3].End.UTC().Format(time.RFC3339Nano)
		movie := d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/recordings/video.mp4"+span, nil)
		require.Equal(t, http.StatusOK, movie.Status)
		entry := map[pipeline.Codec]string{pipeline.AAC: "mp4a", pipeline.PCMU: "ulaw"}[codec]
		head, _, found := bytes.Cut(movie.Body, []byte("mdat"))
		require.True(t, found)
		require.Equal(t, 1, bytes.Count(head, []byte(entry)))
		playlist := string(d.send(t, http.MethodGet, "/api/v1/cameras/"+id+"/recordings/index.m3u8"+span, nil).Body)
		if codec == pipeline.AAC {
			require.NotContains(t, playlist, "audio=false")
		} else {
			require.Contains(t, playlist, "audio=false", "browsers do not play it")
		}

		d.change(t, id, body{"name": camera.Name, "url": camera.URL, "audio": false})
		d.becomes(t, id, "running")
		soon(t, func(t require.TestingT) {
			now := list[heardRecording](t, d.client, "/recordings?camera_id="+id)
			require.Greater(t, len(now), len(all)+2)
			require.Empty(t, now[len(now)-1].Audio)
		})
	}
}
