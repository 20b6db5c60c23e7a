package file_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// TestPicturesPassedOverAreCounted: a file that begins in the middle of a group is played
// from the next key picture on, and what comes before is counted, in every round.
func TestPicturesPassedOverAreCounted(t *testing.T) {
	for name, tc := range map[string]struct {
		rounds, lost int
	}{"whole.h264": {1, 0}, "cut.h264": {1, 19}, "again.h264": {2, 2 * 19}} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(video(t, name, simulate.Spec{Codec: pipeline.H264, Frames: 60, GOP: 20}))
			require.NoError(t, err)
			units := 60 * tc.rounds
			if tc.lost > 0 {
				units = 40*tc.rounds - tc.rounds + 1 // the third round is not begun
				data = withoutFirstKey(t, data)
			}
			c, err := run(t, file.Config{Path: write(t, name, data), Loop: tc.rounds > 1}, units)
			if tc.rounds == 1 {
				require.Error(t, err, "it ends")
			}
			require.Len(t, c.units, units)
			require.Equal(t, [2]int{0, tc.lost}, c.lost)
		})
	}
}

// withoutFirstKey cuts the slices of the first IDR picture out of an Annex B stream.
func withoutFirstKey(t *testing.T, data []byte) (out []byte) {
	t.Helper()
	code, cut := []byte{0, 0, 1}, 0
	for i, nal := range bytes.Split(data, code) {
		const idr = 5
		if i > 0 && cut == 0 && nal[0]&0x1f == idr {
			cut++
			continue
		}
		if i > 0 {
			out = append(out, code...)
		}
		out = append(out, nal...)
	}
	require.Equal(t, 1, cut)
	return out
}
