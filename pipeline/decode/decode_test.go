package decode_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	m.Run()
}

// capture keeps what a source delivers.
type capture struct {
	formats []pipeline.Format
	units   []pipeline.Unit
}

func (c *capture) Format(f pipeline.Format) { c.formats = append(c.formats, f) }
func (c *capture) Unit(u pipeline.Unit)     { c.units = append(c.units, u) }

// generate makes a video and reads it whole.
func generate(t *testing.T, name string, spec simulate.Spec) (pipeline.Format, []pipeline.Unit) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	s, err := file.New(file.Config{Path: path, StartTime: time.Unix(1000, 0)})
	require.NoError(t, err)
	var c capture
	state, _ := pipeline.StateOf(s.Run(context.Background(), &c))
	require.Equal(t, pipeline.StateEnded, state)
	require.Len(t, c.formats, 1)
	return c.formats[0], c.units
}

// picture is what a test keeps of a frame.
type picture struct {
	frame.Meta
	index, width, height int
	colour               frame.Colour
}

// decodeAll decodes units and returns the pictures and the number of errors.
func decodeAll(t *testing.T, f pipeline.Format, units []pipeline.Unit) ([]picture, int) {
	t.Helper()
	var pool frame.Pool
	d, err := decode.New(f, &pool, decode.Options{CameraID: "cam"})
	require.NoError(t, err)
	defer d.Close()
	var got []picture
	errs := 0
	keep := func(f *frame.Frame) {
		got = append(got, picture{f.Meta, simulate.IndexOf(f.AV()), f.Width(), f.Height(), frame.ColourOf(f.AV())})
		f.Release()
	}
	for _, u := range units {
		if err := d.Decode(u, keep); err != nil {
			require.ErrorIs(t, err, decode.ErrCorrupt)
			errs++
		}
	}
	require.NoError(t, d.Flush(keep))
	require.Zero(t, pool.Live())
	pool.Close()
	return got, errs
}

// TestColour decodes high definition: what is not marked is BT.709, but JPEG is
// BT.601 by definition.
func TestColour(t *testing.T) {
	for name, want := range map[string]frame.Colour{
		"hd.mp4":  {Matrix: astiav.ColorSpaceBt709},
		"jpg.avi": {Matrix: astiav.ColorSpaceSmpte170M, Full: true},
	} {
		spec := simulate.Spec{Width: 1280, Height: 720, Frames: 2}
		if name == "jpg.avi" {
			spec.Codec = pipeline.MJPEG
		}
		format, units := generate(t, name, spec)
		got, errs := decodeAll(t, format, units)
		require.Zero(t, errs, name)
		require.NotEmpty(t, got, name)
		require.Equal(t, want, got[0].colour, name)
	}
}

func TestOrderAndTimes(t *testing.T) {
	for _, tc := range []struct {
		name string
		spec simulate.Spec
	}{
		{"h264.mp4", simulate.Spec{}},
		{"h264b.mp4", simulate.Spec{BFrames: 3}},
		{"h264b.ts", simulate.Spec{BFrames: 2}},
		{"h264.h264", simulate.Spec{}},
		{"h265.mp4", simulate.Spec{Codec: pipeline.H265}},
		{"h265b.mkv", simulate.Spec{Codec: pipeline.H265, BFrames: 3}},
		{"mjpeg.avi", simulate.Spec{Codec: pipeline.MJPEG}},
		{"ms.avi", simulate.Spec{Codec: "msmpeg4"}},
		{"mpeg4.mp4", simulate.Spec{Codec: "mpeg4"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.spec.Stamp = true
			format, units := generate(t, tc.name, tc.spec)
			require.Len(t, units, 50)
			require.Equal(t, 320, format.Width)
			got, errs := decodeAll(t, format, units)
			require.Zero(t, errs)
			require.Len(t, got, 50)
			for i, p := range got {
				pts := time.Duration(i) * 40 * time.Millisecond
				require.Equal(t, i, p.index)
				require.InDelta(t, pts, p.PTS, float64(2*time.Millisecond), "picture %d", i)
				require.Equal(t, time.Unix(1000, 0).Add(p.PTS), p.Time)
				require.Equal(t, uint64(i+1), p.Seq)
				require.Equal(t, "cam", p.CameraID)
				require.Equal(t, frame.ClockFile, p.Clock)
				require.False(t, p.Damaged)
				require.Equal(t, 320, p.width)
				require.Equal(t, 240, p.height)
			}
			require.True(t, got[0].Key)
		})
	}
}

func TestCorruptUnits(t *testing.T) {
	for codec, header := range map[pipeline.Codec][]byte{
		pipeline.H264:  {0x65},       // a slice of a key picture
		pipeline.H265:  {0x26, 0x01}, // the same
		pipeline.MJPEG: {0xff, 0xd8},
	} {
		t.Run(string(codec), func(t *testing.T) {
			format, units := generate(t, "v.mkv", simulate.Spec{Codec: codec, Stamp: true, Frames: 60, GOP: 20})
			units[10].NALs = [][]byte{append(header, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)}
			got, errs := decodeAll(t, format, units)
			require.Positive(t, errs)
			for _, p := range got {
				if n := int(p.PTS.Round(time.Millisecond) / (40 * time.Millisecond)); n != 10 {
					require.Equal(t, codec != pipeline.MJPEG && n > 10 && n < 20, p.Damaged, "picture %d", n)
				}
			}
			require.Equal(t, 59, got[len(got)-1].index)
		})
	}
}

func TestDamagedUnitsStayMarked(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Stamp: true, Frames: 20})
	units[5].Damaged = true
	got, _ := decodeAll(t, format, units)
	require.True(t, got[5].Damaged)
	require.False(t, got[4].Damaged)
}

func TestWaitsForKeyUnit(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Stamp: true, Frames: 60, GOP: 20})
	got, errs := decodeAll(t, format, units[5:])
	require.Zero(t, errs)
	require.Equal(t, 20, got[0].index)
	require.Len(t, got, 40)
}

func TestOutOfBandParameterSets(t *testing.T) {
	for _, codec := range []pipeline.Codec{pipeline.H264, pipeline.H265} {
		format, units := generate(t, "v.mp4", simulate.Spec{Codec: codec, Stamp: true, Frames: 10})
		require.NotEmpty(t, format.ParameterSets)
		units[0].NALs = units[0].NALs[len(format.ParameterSets):]
		got, errs := decodeAll(t, format, units)
		require.Zero(t, errs)
		require.Len(t, got, 10)
	}
}

func TestReset(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Stamp: true, Frames: 60, GOP: 20})
	var pool frame.Pool
	d, err := decode.New(format, &pool, decode.Options{})
	require.NoError(t, err)
	defer d.Close()
	var seqs []uint64
	keep := func(f *frame.Frame) { seqs = append(seqs, f.Seq); f.Release() }
	for i, u := range units {
		if i == 10 {
			require.NoError(t, d.Reset())
		}
		require.NoError(t, d.Decode(u, keep))
	}
	require.NoError(t, d.Flush(keep))
	for i, seq := range seqs {
		require.Equal(t, uint64(i+1), seq)
	}
	require.Greater(t, len(seqs), 40)
	require.Less(t, len(seqs), 52)
}

// bomb is the SPS of a picture of 1024x1024 macroblocks with nearly all of it cut off
// (ITU-T H.264, 7.3.2.1.1).
func bomb() []byte {
	var bits []byte
	fixed := func(v uint, n int) {
		for i := n - 1; i >= 0; i-- {
			bits = append(bits, byte(v>>i&1))
		}
	}
	golomb := func(v uint) {
		n := 0
		for (v+1)>>n > 1 {
			n++
		}
		fixed(0, n)
		fixed(v+1, n+1)
	}
	fixed(66, 8) // baseline
	fixed(0, 8)
	fixed(62, 8)                           // level
	for _, v := range []uint{0, 0, 2, 1} { // id, frame numbers, order of pictures, references
		golomb(v)
	}
	fixed(0, 1)
	golomb(1023)
	golomb(1023)
	fixed(0b111, 3)                                                      // whole frames, 8x8 inference, cropping
	for _, v := range []uint{0, (16384 - 64) / 2, 0, (16384 - 48) / 2} { // in steps of two pixels
		golomb(v)
	}
	fixed(0b01, 2) // no more about it, and the end
	nal := []byte{0x67}
	for len(bits)%8 != 0 {
		bits = append(bits, 0)
	}
	for i := 0; i < len(bits); i += 8 {
		b := byte(0)
		for _, bit := range bits[i : i+8] {
			b = b<<1 | bit
		}
		nal = append(nal, b)
	}
	return nal
}

// TestFlushTwice: a decoder in which nothing is any more decodes what comes next.
func TestFlushTwice(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Frames: 20})
	var pool frame.Pool
	d, err := decode.New(format, &pool, decode.Options{})
	require.NoError(t, err)
	defer d.Close()
	frames := 0
	count := func(f *frame.Frame) { frames++; f.Release() }
	require.NoError(t, d.Flush(count))
	for range 2 {
		for _, u := range units {
			require.NoError(t, d.Decode(u, count))
		}
		require.NoError(t, d.Flush(count))
		require.NoError(t, d.Flush(count))
	}
	require.Equal(t, 40, frames)
}

func TestLimits(t *testing.T) {
	format, units := generate(t, "v.mp4", simulate.Spec{Frames: 5})
	var pool frame.Pool
	_, err := decode.New(format, &pool, decode.Options{MaxPixels: 1000})
	require.ErrorContains(t, err, "limit")

	format.Width, format.Height = 0, 0
	_, err = decode.New(format, &pool, decode.Options{MaxPixels: 1000})
	require.ErrorContains(t, err, "limit", "the parameter sets tell")

	units[0].NALs = append(format.ParameterSets, units[0].NALs...) // told by nobody before it comes
	format.ParameterSets = nil
	d, err := decode.New(format, &pool, decode.Options{MaxPixels: 1000})
	require.NoError(t, err)
	defer d.Close()
	err = d.Decode(units[0], func(f *frame.Frame) { f.Release(); t.Error("decoded a picture over the limit") })
	require.ErrorIs(t, err, decode.ErrCorrupt)

	// 16384x16384 of which 64x48 are shown: what counts is the memory that it takes
	_, err = decode.New(pipeline.Format{Codec: pipeline.H264, Width: 64, Height: 48, ParameterSets: [][]byte{bomb()}}, &pool, decode.Options{})
	require.ErrorContains(t, err, "16384x16384 pixels are more than the limit")

	_, err = decode.New(pipeline.Format{Codec: "no such codec"}, &pool, decode.Options{})
	require.ErrorContains(t, err, "no such codec")
}

func TestClosed(t *testing.T) {
	var pool frame.Pool
	d, err := decode.New(pipeline.Format{Codec: pipeline.H264}, &pool, decode.Options{})
	require.NoError(t, err)
	d.Close()
	d.Close()
	require.Error(t, d.Decode(pipeline.Unit{Key: true}, nil))
	require.NoError(t, d.Flush(nil))
}
