package camera

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/activity"
)

func TestWeigh(t *testing.T) {
	for name, tc := range map[string]struct {
		codec pipeline.Codec
		nals  [][]byte
		want  activity.Unit
	}{
		"reference":      {pipeline.H264, [][]byte{{0x41, 1, 2}}, activity.Unit{Bytes: 3}},
		"disposable":     {pipeline.H264, [][]byte{{0x01, 1, 2}}, activity.Unit{Bytes: 3, Disposable: true}},
		"sei and filler": {pipeline.H264, [][]byte{{0x06, 1}, {0x41, 1}, {0x0c, 255, 255}}, activity.Unit{Bytes: 4, Padded: true}},
		"h265 reference": {pipeline.H265, [][]byte{{0x02, 1, 7}}, activity.Unit{Bytes: 3}},
		"h265 not":       {pipeline.H265, [][]byte{{0x00, 1, 7}}, activity.Unit{Bytes: 3, Disposable: true}},
		"h265 filler":    {pipeline.H265, [][]byte{{0x4c, 1, 7}, {0x26, 1}}, activity.Unit{Bytes: 2, Padded: true}},
		"picture":        {pipeline.MJPEG, [][]byte{{0xff, 0xd8, 1}}, activity.Unit{Bytes: 3}},
		"empty":          {pipeline.H264, [][]byte{{}}, activity.Unit{}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, weigh(tc.codec, pipeline.Unit{NALs: tc.nals}))
		})
	}
}

func TestHold(t *testing.T) {
	var h hold
	for i := range 30 {
		h.add(pipeline.Unit{PTS: time.Duration(i), Key: i%10 == 0, NALs: [][]byte{make([]byte, 100)}})
	}
	require.Equal(t, 3000, h.bytes)
	require.Equal(t, 20, h.before(11))
	require.Len(t, h.take(h.before(20)), 20)
	require.Equal(t, 1000, h.bytes)
	require.Equal(t, time.Duration(20), h.units[0].PTS)
	require.False(t, h.full())
	h.add(pipeline.Unit{NALs: [][]byte{make([]byte, maxHeldBytes)}})
	require.True(t, h.full())
}
