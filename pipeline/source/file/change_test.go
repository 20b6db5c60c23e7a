package file_test

import (
	"bytes"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// joined puts generated videos one behind the other into one file.
func joined(t *testing.T, name string, specs ...simulate.Spec) string {
	t.Helper()
	var all []byte
	for _, s := range specs {
		data, err := os.ReadFile(video(t, name, s))
		require.NoError(t, err)
		all = append(all, data...)
	}
	return write(t, name, all)
}

// TestFormatChanges: a file whose video goes on in another size announces
// it, its time goes on, and all of it can be decoded.
func TestFormatChanges(t *testing.T) {
	small := simulate.Spec{Frames: 30, GOP: 15}
	large := simulate.Spec{Frames: 30, GOP: 15, Width: 640, Height: 480}
	as := func(s simulate.Spec, c pipeline.Codec) simulate.Spec { s.Codec = c; return s }
	for _, tc := range []struct {
		name          string
		before, after simulate.Spec
	}{
		{"size.h264", small, large},
		{"size.ts", small, large},
		{"size.hevc", as(small, pipeline.H265), as(large, pipeline.H265)},
		{"size.mjpeg", as(small, pipeline.MJPEG), as(large, pipeline.MJPEG)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := joined(t, tc.name, tc.before, tc.after, tc.before)
			c := &decoder{t: t}
			s, err := file.New(file.Config{Path: path})
			require.NoError(t, err)
			err = s.Run(t.Context(), c)
			c.close()
			state, reason := pipeline.StateOf(err)
			require.Equal(t, pipeline.StateEnded, state, reason)
			require.Len(t, c.formats, 3)
			for i, spec := range []simulate.Spec{tc.before, tc.after, tc.before} {
				codec, width := pipeline.H264, 320
				if spec.Codec != "" {
					codec = spec.Codec
				}
				if spec.Width > 0 {
					width = spec.Width
				}
				require.Equal(t, codec, c.formats[i].Codec)
				require.Equal(t, width, c.formats[i].Width, "format %d", i)
			}
			require.Zero(t, c.corrupt)
			require.Len(t, c.sizes, 90)
			require.Equal(t, 30, count(c.sizes, 640))
			require.Equal(t, 2, steps(c.sizes))
			for i := 1; i < len(c.pts); i++ {
				step := c.pts[i] - c.pts[i-1]
				require.Positive(t, step)
				require.LessOrEqual(t, step, 200*time.Millisecond)
			}
		})
	}
}

// TestCodecChanges: what comes before is played, and the error says what is wrong.
func TestCodecChanges(t *testing.T) {
	one, other := simulate.Spec{Frames: 30, GOP: 15}, simulate.Spec{Frames: 30, GOP: 15, Codec: pipeline.H265}
	for _, specs := range [][]simulate.Spec{{one, other}, {other, one}} {
		c := &decoder{t: t}
		s, err := file.New(file.Config{Path: joined(t, "a.ts", specs...)})
		require.NoError(t, err)
		state, reason := pipeline.StateOf(s.Run(t.Context(), c))
		c.close()
		require.Equal(t, pipeline.StateCodec, state)
		require.Contains(t, reason, "another codec in the middle")
		require.InDelta(t, 30, len(c.sizes), 2)
		require.LessOrEqual(t, c.corrupt, 1)
	}
}

// decoder decodes what it is given, as the stages do.
type decoder struct {
	t       *testing.T
	pool    frame.Pool
	formats []pipeline.Format
	decoder *decode.Decoder
	sizes   []int
	pts     []time.Duration

	corrupt      int
	orientations []frame.Orientation
	aspect       float64 // of the newest frame's pixels
}

func (d *decoder) Format(f pipeline.Format) {
	d.close()
	d.formats = append(d.formats, f)
	var err error
	d.decoder, err = decode.New(f, &d.pool, decode.Options{})
	require.NoError(d.t, err)
}

func (d *decoder) Unit(u pipeline.Unit) {
	if err := d.decoder.Decode(u, d.keep); err != nil {
		require.ErrorIs(d.t, err, decode.ErrCorrupt)
		d.corrupt++
	}
}

func (d *decoder) keep(f *frame.Frame) {
	d.sizes, d.pts = append(d.sizes, f.Width()), append(d.pts, f.PTS)
	d.orientations, d.aspect = append(d.orientations, f.Orientation), f.AV().SampleAspectRatio().Float64()
	f.Release()
}

func (d *decoder) close() {
	if d.decoder != nil {
		require.NoError(d.t, d.decoder.Flush(d.keep))
		d.decoder.Close()
	}
}

func count(list []int, v int) (n int) {
	for _, x := range list {
		if x == v {
			n++
		}
	}
	return n
}

func steps(list []int) int { return len(slices.Compact(slices.Clone(list))) - 1 }

// TestLoopAnnouncesTheFirstFormatAgain: a loop begins in the format of its beginning.
func TestLoopAnnouncesTheFirstFormatAgain(t *testing.T) {
	path := joined(t, "a.h264", simulate.Spec{Frames: 10}, simulate.Spec{Frames: 10, Width: 640, Height: 480})
	c, err := run(t, file.Config{Path: path, Loop: true}, 45)
	require.NoError(t, err)
	var widths []int
	for _, f := range c.formats {
		widths = append(widths, f.Width)
	}
	require.Equal(t, []int{320, 640, 320, 640, 320}, widths)
	requireTimeline(t, c.units)
}

// TestShownOtherwise: what a container says of turning and of the shape of pixels
// is announced and put on the frames.
func TestShownOtherwise(t *testing.T) {
	for o := frame.Orientation(1); o <= 8; o++ {
		path := video(t, "a.mp4", simulate.Spec{Frames: 5, Orientation: o, Aspect: [2]int{4, 3}})
		c := &decoder{t: t}
		s, err := file.New(file.Config{Path: path})
		require.NoError(t, err)
		state, _ := pipeline.StateOf(s.Run(t.Context(), c))
		require.Equal(t, pipeline.StateEnded, state)
		c.close()
		require.Equal(t, o, c.formats[0].Orientation)
		require.Equal(t, [2]int{4, 3}, c.formats[0].Aspect)
		require.Equal(t, []frame.Orientation{o, o, o, o, o}, c.orientations)
		require.Equal(t, 4.0/3, c.aspect)
	}
	for _, name := range []string{"a.h264", "a.ts"} { // the coded video says it
		path := video(t, name, simulate.Spec{Frames: 5, Aspect: [2]int{2, 1}})
		info, err := file.Probe(path)
		require.NoError(t, err)
		require.Equal(t, frame.Upright, info.Format.Orientation)
		require.Equal(t, 320, info.Format.Width, "pixels as stored")
		c := &decoder{t: t}
		s, err := file.New(file.Config{Path: path})
		require.NoError(t, err)
		state, _ := pipeline.StateOf(s.Run(t.Context(), c))
		require.Equal(t, pipeline.StateEnded, state)
		c.close()
		require.Equal(t, 2.0, c.aspect)
	}
}

// TestPicturesThatAreTurned: the EXIF orientation is announced.
func TestPicturesThatAreTurned(t *testing.T) {
	data := pictureBytes(t, "jpeg")
	exif := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00")
	head := []byte{0xff, 0xd8, 0xff, 0xe1, 0, byte(len(exif) + 2)}
	c, _ := run(t, file.Config{Path: write(t, "a.jpg", slices.Concat(head, exif, data[2:]))}, 0)
	require.Equal(t, frame.Orientation(6), c.formats[0].Orientation)
	require.True(t, bytes.HasPrefix(c.units[0].NALs[0], []byte{0xff, 0xd8}))
}
