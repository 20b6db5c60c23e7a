package record

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
)

// TestFileThatIsGivenUp: a file whose sync fails is removed, and all of its units are
// counted, also those of whole fragments. When only its last fragment cannot be written,
// the rest stays for the next start to find.
func TestFileThatIsGivenUp(t *testing.T) {
	for name, tc := range map[string]struct {
		fault         func(t *testing.T, s *segment)
		dropped, left int
	}{
		"sync":  {func(t *testing.T, s *segment) { s.file = pipe(t, s) }, 30, 0},
		"write": {func(t *testing.T, s *segment) { require.NoError(t, s.file.Close()) }, 5, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dropped, root := 0, t.TempDir()
			r, err := New(Config{Root: root, CameraID: "door"}, nil, slog.New(slog.DiscardHandler), Hooks{Dropped: func(n int) { dropped += n }})
			require.NoError(t, err)
			f := pipeline.Format{Codec: pipeline.MJPEG, Width: 320, Height: 240}
			unit := func(i int) pipeline.Unit {
				at := time.Duration(i) * 40 * time.Millisecond
				return pipeline.Unit{PTS: at, DTS: at, Time: time.Unix(1000, 0).Add(at), Key: true, NALs: [][]byte{{0xff, 0xd8, 0xff, 0xd9}}}
			}
			s, err := create(root, "door", f, pipeline.SoundFormat{}, unit(0))
			require.NoError(t, err)
			for i := range 30 {
				require.NoError(t, s.add(unit(i)))
			}
			require.Equal(t, 25, s.frames, "in the file")
			require.Equal(t, 5, s.missing())
			tc.fault(t, s)
			r.segment = s
			r.finish(0)
			require.Empty(t, r.rows)
			require.Equal(t, tc.dropped, dropped)
			left, err := filepath.Glob(filepath.Join(root, "door", "*"))
			require.NoError(t, err)
			require.Len(t, left, tc.left)
		})
	}
}

// pipe returns a file that cannot be synced, for one that is written on.
func pipe(t *testing.T, s *segment) *os.File {
	t.Helper()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	file := s.file
	t.Cleanup(func() {
		require.NoError(t, read.Close())
		require.NoError(t, file.Close())
	})
	return write
}
