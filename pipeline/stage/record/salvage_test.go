package record

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

func TestNames(t *testing.T) {
	n := nameOf(pipeline.Unit{
		Time: time.Date(2026, 3, 4, 5, 6, 7, 89012345, time.FixedZone("", 3600)), TimeError: 1500 * time.Microsecond, Clock: "rtcp",
	})
	require.Equal(t, "20260304T040607.089012Z-rtcp-1500us.mp4", n.String())
	require.Equal(t, "door/2026-03-04/20260304T040607.089012Z-rtcp-1500us.mp4", n.path("door"))
	back, err := parseName(n.String())
	require.NoError(t, err)
	require.Equal(t, n, back)
	for _, bad := range []string{
		"", "a.mp4", "20260304T040607.089012Z-rtcp.mp4", "20260304T040607.089012Z-rtcp-1500us", "20260304T040607.089012Z-rtcp--5us.mp4",
		"20269904T040607.089012Z-rtcp-1us.mp4", "20260304T040607.089012Z-rtcp-99999999999999999us.mp4",
	} {
		_, err := parseName(bad)
		require.Error(t, err, bad)
	}
}

func FuzzInspect(f *testing.F) {
	s, err := create(f.TempDir(), "door", pipeline.Format{Codec: pipeline.MJPEG, Width: 64, Height: 48},
		pipeline.SoundFormat{Codec: pipeline.PCMU, Rate: 8000, Channels: 1}, pipeline.Unit{Key: true, NALs: [][]byte{{1, 2, 3}}})
	require.NoError(f, err)
	for i := range 5 {
		require.NoError(f, s.add(pipeline.Unit{Key: true, DTS: time.Duration(i) * time.Second, PTS: time.Duration(i) * time.Second, NALs: [][]byte{{1, 2, 3}}}))
		require.True(f, s.addSound(pipeline.Sound{PTS: time.Duration(i) * time.Second, Samples: 160, Data: []byte{4, 5}}, s.sound.format))
	}
	row, err := s.finish(0)
	require.NoError(f, err)
	data, err := os.ReadFile(filepath.Join(s.root, row.Path))
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)-2])
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "f")
		require.NoError(t, os.WriteFile(path, data, 0o600))
		file, err := os.Open(path)
		require.NoError(t, err)
		defer file.Close()
		c, err := inspect(file)
		require.NoError(t, err)
		require.LessOrEqual(t, c.good, int64(len(data)))
		require.True(t, c.frames == 0 || c.good > 0)
	})
}
