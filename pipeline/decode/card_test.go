package decode_test

import (
	"os"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
)

// These tests look at what happens around a card, on machines without one: a decoder
// with a deck whose libavcodec has no device decodes on the CPU. card_real_test.go has
// those that need a card.

// noCard skips on machines with a card.
func noCard(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/nvidiactl"); err == nil {
		t.Skip("this machine has a card")
	}
}

func TestOpenCardWithoutOne(t *testing.T) {
	noCard(t)
	card, err := decode.OpenCard(0)
	require.Nil(t, card)
	require.ErrorContains(t, err, "there is no NVIDIA driver")
}

// TestWhere tells what decodes and why.
func TestWhere(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Frames: 3})
	closed := decode.NewCard()
	closed.Close()
	mjpeg := pipeline.Format{Codec: pipeline.MJPEG, Width: 64, Height: 48}
	for name, tc := range map[string]struct {
		format      pipeline.Format
		opts        decode.Options
		decoder, in string
	}{
		"nobody asks":       {format, decode.Options{}, "", ""},
		"there is no card":  {format, decode.Options{NoCard: "no driver"}, pipeline.OnCPU, "no driver"},
		"the card is gone":  {format, decode.Options{Card: closed}, pipeline.OnCPU, "after Close"},
		"not for this kind": {mjpeg, decode.Options{Card: closed}, pipeline.OnCPU, "H.264 and H.265 only"},
	} {
		var pool frame.Pool
		d, err := decode.New(tc.format, &pool, tc.opts)
		require.NoError(t, err, name)
		if tc.format.Codec != pipeline.MJPEG {
			n := 0
			for _, u := range units {
				require.NoError(t, d.Decode(u, func(f *frame.Frame) { n++; f.Release() }), name)
			}
			require.NoError(t, d.Flush(func(f *frame.Frame) { n++; f.Release() }))
			require.Equal(t, 3, n, name)
		}
		decoder, why := d.Where()
		require.Equal(t, tc.decoder, decoder, name)
		require.Contains(t, why, tc.in, name)
		d.Close()
		require.Zero(t, pool.Live())
		pool.Close()
	}
}

// withDeck returns a decoder that believes that it has a card.
func withDeck(t *testing.T, f pipeline.Format, pool *frame.Pool) *decode.Decoder {
	t.Helper()
	d, err := decode.New(f, pool, decode.Options{})
	require.NoError(t, err)
	card := decode.NewCard()
	d.Believe(card)
	t.Cleanup(func() { d.Close(); card.Close() })
	return d
}

// TestNotTaken decodes what the card does not take, twice with a flush between.
func TestNotTaken(t *testing.T) {
	for _, spec := range []simulate.Spec{{BFrames: 2, Stamp: true}, {Codec: pipeline.H265, BFrames: 2, Stamp: true}} {
		format, units := generate(t, "v.mp4", spec)
		var pool frame.Pool
		d := withDeck(t, format, &pool)
		for range 2 {
			var got []int
			keep := func(f *frame.Frame) { got = append(got, simulate.IndexOf(f.AV())); f.Release() }
			for _, u := range units {
				require.NoError(t, d.Decode(u, keep))
			}
			require.NoError(t, d.Flush(keep))
			require.Len(t, got, 50)
			for i, index := range got {
				require.Equal(t, i, index)
			}
			decoder, why := d.Where()
			require.Equal(t, pipeline.OnCPU, decoder)
			require.Equal(t, decode.NotTaken, why)
		}
		pool.Close()
	}
}

// TestLeaveCard gives up a card that refuses everything, and one whose pictures cannot
// be fetched, and goes on at the next key unit.
func TestLeaveCard(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Frames: 60, GOP: 20})
	none := func(f *frame.Frame) { f.Release() }

	t.Run("refuses", func(t *testing.T) {
		var pool frame.Pool
		defer pool.Close()
		d := withDeck(t, format, &pool)
		for i := range decode.Patience {
			require.True(t, d.Believes())
			err := d.Decode(pipeline.Unit{Key: i == 0, NALs: [][]byte{{0x65, 0xff, 0xff}}}, none)
			require.ErrorIs(t, err, decode.ErrCorrupt)
		}
		require.False(t, d.Believes())
		decoder, why := d.Where()
		require.Equal(t, pipeline.OnCPU, decoder)
		require.NotEmpty(t, why)
		n := 0
		for _, u := range units[1:] { // the rest of a group is passed over
			require.NoError(t, d.Decode(u, func(f *frame.Frame) { n++; f.Release() }))
		}
		require.NoError(t, d.Flush(func(f *frame.Frame) { n++; f.Release() }))
		require.Equal(t, 40, n)
	})

	t.Run("other errors", func(t *testing.T) {
		var pool frame.Pool
		defer pool.Close()
		d := withDeck(t, format, &pool)
		require.NoError(t, d.Judge(astiav.ErrInvaliddata))
		require.True(t, d.Believes())
		require.NoError(t, d.Judge(astiav.ErrExternal))
		require.False(t, d.Believes())
	})

	t.Run("cannot be fetched", func(t *testing.T) {
		var pool frame.Pool
		defer pool.Close()
		d := withDeck(t, format, &pool)
		lost := false
		n := 0
		for _, u := range units {
			require.NoError(t, d.Decode(u, func(f *frame.Frame) {
				defer f.Release()
				if n++; lost || !d.Believes() {
					return
				}
				lost = true
				require.NoError(t, d.Lay(f)) // as if it were on the card
				pixels, _ := f.Luma()
				require.Nil(t, pixels)
			}))
			if u.Key && n > 1 {
				require.False(t, d.Believes())
			}
		}
		require.True(t, lost)
		_, why := d.Where()
		require.Contains(t, why, "fetch picture from the card")
		require.Zero(t, pool.Live())
	})
}

// TestDeckBounds has pictures fetched at once when too many are held, and gives all
// surfaces back.
func TestDeckBounds(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Frames: 12})
	var pool frame.Pool
	defer pool.Close()
	d := withDeck(t, format, &pool)
	var held []*frame.Frame
	for _, u := range units {
		require.NoError(t, d.Decode(u, func(f *frame.Frame) { held = append(held, f) }))
	}
	require.Greater(t, len(held), decode.Most+2)
	for _, f := range held {
		require.NoError(t, d.Lay(f))
		require.LessOrEqual(t, d.Held(), decode.Most)
	}
	for _, f := range held {
		f.Release()
	}
	require.Zero(t, d.Held())
}
