package record

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/stretchr/testify/require"
)

// TestFragmentsAreThoseOfALibrary compares with what mediacommon writes, byte by byte.
func TestFragmentsAreThoseOfALibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for name, c := range map[string]struct {
		prefixed, inter, reordered bool
	}{
		"pictures":       {},
		"key units only": {prefixed: true},
		"usual":          {prefixed: true, inter: true},
		"B-frames":       {prefixed: true, inter: true, reordered: true},
		"key, reordered": {prefixed: true, reordered: true},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			var want seekablebuffer.Buffer
			f := newFragments(&got)
			for n := range uint32(4) { // the buffers are reused
				var ours []sample
				var theirs []*fmp4.Sample
				for i := range 1 + rnd.IntN(40) {
					s := sample{duration: rnd.Uint32N(9000), key: i%10 == 0 || !c.inter}
					if c.reordered && i%3 > 0 {
						s.offset = rnd.Int32N(9000)
					}
					for range 1 + rnd.IntN(3) {
						nal := make([]byte, rnd.IntN(100)*rnd.IntN(1000)) // some larger than the writer's buffer
						for i := range nal {
							nal[i] = byte(rnd.Uint32())
						}
						if s.nals = append(s.nals, nal); !c.prefixed {
							break
						}
					}
					s.size = sizeOf(s.nals, c.prefixed)
					payload := s.nals[0]
					if c.prefixed {
						var err error
						payload, err = h264.AVCC(s.nals).Marshal()
						require.NoError(t, err)
					}
					ours = append(ours, s)
					theirs = append(theirs, &fmp4.Sample{Duration: s.duration, PTSOffset: s.offset, IsNonSyncSample: !s.key, Payload: payload})
				}
				dts := uint64(n) << 33
				before := got.Len()
				runs := []run{{1, int64(dts), ours, c.prefixed}}
				part := fmp4.Part{SequenceNumber: n, Tracks: []*fmp4.PartTrack{{ID: 1, BaseTime: dts, Samples: theirs}}}
				if n%2 == 1 { // sound comes with it
					heard := []byte("beep")
					runs = append(runs, run{2, 7, []sample{{nals: [][]byte{heard}, size: 4, duration: 1024, key: true}}, false})
					part.Tracks = append(part.Tracks, &fmp4.PartTrack{ID: 2, BaseTime: 7, Samples: []*fmp4.Sample{{Duration: 1024, Payload: heard}}})
				}
				size, err := f.write(n, runs...)
				require.NoError(t, err)
				require.EqualValues(t, got.Len()-before, size)
				want.Reset()
				require.NoError(t, part.Marshal(&want))
				require.True(t, bytes.Equal(want.Bytes(), got.Bytes()[before:]), "fragment %d differs", n)
			}
		})
	}
}

// full is a disk with room for some bytes.
type full struct{ room int }

var errFull = errors.New("full")

func (d *full) Write(b []byte) (int, error) {
	n := min(len(b), d.room)
	d.room -= n
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

func TestFragmentTellsOfADiskThatIsFull(t *testing.T) {
	nal := make([]byte, 20_000)
	for _, room := range []int{0, 50, 30_000, 100_000} {
		f := newFragments(&full{room})
		one := sample{nals: [][]byte{nal}, size: sizeOf([][]byte{nal}, true), key: true}
		_, err := f.write(0, run{1, 0, []sample{one, one, one, one, one, one}, true})
		require.ErrorIs(t, err, errFull, room)
	}
}
