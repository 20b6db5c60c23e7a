package frame_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
)

// shop is a remote whose pictures are in this machine's memory after all.
type shop struct {
	fetched, returned atomic.Int32
	err               error
}

func (s *shop) Fetch(here, there *astiav.Frame) error {
	s.fetched.Add(1)
	if s.err != nil {
		return s.err
	}
	return here.Ref(there)
}

func (s *shop) Returned() { s.returned.Add(1) }

// deferred returns a frame whose pixels s has.
func deferred(t *testing.T, pool *frame.Pool, s *shop) *frame.Frame {
	t.Helper()
	f := pool.Get()
	av := f.AV()
	av.SetWidth(64)
	av.SetHeight(48)
	av.SetPixelFormat(astiav.PixelFormatNv12)
	require.NoError(t, av.AllocBuffer(0))
	require.NoError(t, av.ImageFillBlack())
	av.SetPts(7)
	av.SetSampleAspectRatio(astiav.NewRational(4, 3))
	av.SetColorRange(astiav.ColorRangeJpeg)
	require.NoError(t, f.Defer(s, astiav.PixelFormatNv12))
	return f
}

// TestDeferNobodyReads asks for all but the pixels: nothing is fetched.
func TestDeferNobodyReads(t *testing.T) {
	var pool frame.Pool
	defer pool.Close()
	for range 3 { // shells are used again
		var s shop
		f := deferred(t, &pool, &s)
		require.Equal(t, 64, f.Width())
		require.Equal(t, 48, f.Height())
		require.InDelta(t, 4.0/3, f.Aspect(), 1e-9)
		require.Zero(t, s.returned.Load())
		f.Release()
		require.Zero(t, s.fetched.Load())
		require.EqualValues(t, 1, s.returned.Load())
	}
	require.Zero(t, pool.Live())
}

// TestDeferOnce has many read at the same time: the pixels are fetched once, and the
// remote's picture is given back at once.
func TestDeferOnce(t *testing.T) {
	var pool frame.Pool
	defer pool.Close()
	var s shop
	f := deferred(t, &pool, &s)
	var all sync.WaitGroup
	for range 8 {
		f.Retain()
		all.Go(func() {
			defer f.Release()
			pixels, stride := f.Luma()
			if len(pixels) < 47*stride+64 || f.AV().PixelFormat() != astiav.PixelFormatNv12 {
				t.Error("no pixels")
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, s.fetched.Load())
	require.EqualValues(t, 1, s.returned.Load())
	require.EqualValues(t, 7, f.AV().Pts())
	require.True(t, frame.ColourOf(f.AV()).Full)
	f.Release()
	require.EqualValues(t, 1, s.returned.Load())

	f = pool.Get() // the same shell, for a picture that is here
	defer f.Release()
	require.Zero(t, f.AV().Width())
	require.EqualValues(t, 1, s.fetched.Load())
}

// TestDeferFails keeps readers from pixels that are not there.
func TestDeferFails(t *testing.T) {
	var pool frame.Pool
	defer pool.Close()
	s := shop{err: errors.New("the card is gone")}
	f := deferred(t, &pool, &s)
	defer f.Release()
	for range 2 {
		pixels, _ := f.Luma()
		require.Nil(t, pixels)
	}
	require.Equal(t, 64, f.Width())
	require.EqualValues(t, 1, s.fetched.Load())
	require.EqualValues(t, 1, s.returned.Load())
}
