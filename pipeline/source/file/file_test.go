package file_test

import (
	"bytes"
	"context"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

// capture keeps what a source delivers and calls stop after limit units.
type capture struct {
	formats []pipeline.Format
	units   []pipeline.Unit
	lost    [2]int // packets, pictures
	limit   int
	stop    context.CancelFunc
}

func (c *capture) Format(f pipeline.Format) { c.formats = append(c.formats, f) }

func (c *capture) Unit(u pipeline.Unit) {
	if c.limit > 0 && len(c.units) == c.limit {
		c.stop()
		return
	}
	c.units = append(c.units, u)
}

func (c *capture) Lost(packets, pictures int) {
	c.lost[0] += packets
	c.lost[1] += pictures
}

func run(t *testing.T, cfg file.Config, limit int) (*capture, error) {
	t.Helper()
	s, err := file.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := &capture{limit: limit, stop: cancel}
	return c, s.Run(ctx, c)
}

func video(t *testing.T, name string, spec simulate.Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	return path
}

func write(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func pictureBytes(t *testing.T, kind string) []byte {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 60, 40))
	img.Set(3, 3, color.White)
	var b bytes.Buffer
	if kind == "png" {
		require.NoError(t, png.Encode(&b, img))
	} else {
		require.NoError(t, jpeg.Encode(&b, img, nil))
	}
	return b.Bytes()
}

func TestVideos(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spec  simulate.Spec
		codec pipeline.Codec
		sets  int
	}{
		{"a.mp4", simulate.Spec{}, pipeline.H264, 2},
		{"a.mp4", simulate.Spec{BFrames: 3}, pipeline.H264, 2},
		{"a.mkv", simulate.Spec{Codec: pipeline.H265}, pipeline.H265, 3},
		{"a.ts", simulate.Spec{}, pipeline.H264, 2},
		{"a.h264", simulate.Spec{}, pipeline.H264, 2},
		{"a.hevc", simulate.Spec{Codec: pipeline.H265}, pipeline.H265, 3},
		{"a.mjpeg", simulate.Spec{Codec: pipeline.MJPEG}, pipeline.MJPEG, 0},
		{"a.avi", simulate.Spec{Codec: "msmpeg4"}, "msmpeg4v3", 0},
	} {
		t.Run(tc.name+" "+string(tc.codec), func(t *testing.T) {
			began := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
			c, err := run(t, file.Config{Path: video(t, tc.name, tc.spec), StartTime: began}, 0)
			state, reason := pipeline.StateOf(err)
			require.Equal(t, pipeline.StateEnded, state, reason)
			require.Len(t, c.formats, 1)
			f := c.formats[0]
			require.Equal(t, tc.codec, f.Codec)
			require.Equal(t, []int{320, 240}, []int{f.Width, f.Height})
			require.GreaterOrEqual(t, len(f.ParameterSets), tc.sets)
			require.Len(t, c.units, 50)
			require.True(t, c.units[0].Key)
			requireTimeline(t, c.units)
			for _, u := range c.units {
				require.Equal(t, began.Add(u.PTS), u.Time)
				require.Equal(t, frame.ClockFile, u.Clock)
				require.NotEmpty(t, u.NALs)
				for _, nal := range u.NALs {
					require.False(t, bytes.HasPrefix(nal, []byte{0, 0, 0, 1}))
				}
			}
		})
	}
}

// TestMotionJPEGWithHeads plays a stream of JPEGs with the heads of JFIF, which
// libavformat alone takes for one picture.
func TestMotionJPEGWithHeads(t *testing.T) {
	const head = "\xff\xe0\x00\x10JFIF\x00\x01\x02\x00\x00\x01\x00\x01\x00\x00"
	img := image.NewRGBA(image.Rect(0, 0, 320, 240))
	for i := range img.Pix {
		img.Pix[i] = byte(i * i / 7)
	}
	var coded bytes.Buffer
	require.NoError(t, jpeg.Encode(&coded, img, nil))
	one := slices.Insert(coded.Bytes(), 2, []byte(head)...)
	for _, name := range []string{"a.mjpeg", "a.MJPG"} {
		c, err := run(t, file.Config{Path: write(t, name, bytes.Repeat(one, 12))}, 0)
		state, reason := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateEnded, state, reason)
		require.Len(t, c.units, 12)
		requireTimeline(t, c.units)
	}
}

// requireTimeline checks what every consumer relies on.
func requireTimeline(t *testing.T, units []pipeline.Unit) {
	t.Helper()
	require.Zero(t, units[0].PTS)
	last := time.Duration(-1)
	for i, u := range units {
		require.Greater(t, u.DTS, last, "unit %d", i)
		require.GreaterOrEqual(t, u.PTS, u.DTS, "unit %d", i)
		last = u.DTS
	}
}

func TestLoopIsContinuous(t *testing.T) {
	for _, spec := range []simulate.Spec{{Frames: 10}, {Frames: 10, BFrames: 2}, {Frames: 10, Codec: pipeline.H265}} {
		c, err := run(t, file.Config{Path: video(t, "a.mp4", spec), Loop: true}, 35)
		require.NoError(t, err)
		require.Len(t, c.units, 35)
		require.Len(t, c.formats, 1)
		requireTimeline(t, c.units)
		for loop := 1; loop < 3; loop++ {
			first := c.units[loop*10]
			require.True(t, first.Key)
			require.InDelta(t, time.Duration(loop)*400*time.Millisecond, first.PTS, float64(2*time.Millisecond))
		}
	}
}

func TestPictures(t *testing.T) {
	for kind, codec := range map[string]pipeline.Codec{"png": "png", "jpg": pipeline.MJPEG} {
		data := pictureBytes(t, kind)
		path := write(t, "p."+kind, data)
		c, err := run(t, file.Config{Path: path}, 0)
		state, _ := pipeline.StateOf(err)
		require.Equal(t, pipeline.StateEnded, state)
		require.Equal(t, []pipeline.Format{{Codec: codec, Width: 60, Height: 40, Orientation: frame.Upright}}, c.formats)
		require.Len(t, c.units, 1)
		require.Equal(t, [][]byte{data}, c.units[0].NALs)

		var pool frame.Pool
		d, err := decode.New(c.formats[0], &pool, decode.Options{})
		require.NoError(t, err)
		pictures := 0
		emit := func(f *frame.Frame) {
			require.Equal(t, []int{60, 40}, []int{f.Width(), f.Height()})
			f.Release()
			pictures++
		}
		require.NoError(t, d.Decode(c.units[0], emit))
		require.NoError(t, d.Flush(emit))
		d.Close()
		require.Equal(t, 1, pictures)

		c, err = run(t, file.Config{Path: path, Loop: true, FPS: 4}, 5)
		require.NoError(t, err)
		require.Equal(t, time.Second, c.units[4].PTS)
	}
}

func TestFPS(t *testing.T) {
	c, err := run(t, file.Config{Path: video(t, "a.mp4", simulate.Spec{Frames: 11}), FPS: 50}, 0)
	require.Error(t, err)
	require.Equal(t, 200*time.Millisecond, c.units[10].PTS)
}

func TestRealtimeKeepsPace(t *testing.T) {
	path := video(t, "a.mp4", simulate.Spec{Frames: 10, FPS: 100})
	c, _ := run(t, file.Config{Path: path, Realtime: true}, 0)
	require.Len(t, c.units, 10)
	// Never early; how late is up to the machine.
	began := c.units[0].Time
	for _, u := range c.units {
		require.False(t, u.Arrived.Before(began.Add(u.DTS)))
	}
}

func TestErrors(t *testing.T) {
	mp4, err := os.ReadFile(video(t, "a.mp4", simulate.Spec{Frames: 5}))
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		path  string
		state pipeline.State
		says  string
	}{
		"missing":      {filepath.Join(t.TempDir(), "no.mp4"), pipeline.StateNotFound, "does not exist"},
		"folder":       {t.TempDir(), pipeline.StateBadURL, "folder"},
		"device":       {os.DevNull, pipeline.StateBadURL, "regular"},
		"empty":        {write(t, "e.mp4", nil), pipeline.StateNoVideo, "empty"},
		"text":         {write(t, "t.txt", []byte("just some words\n")), pipeline.StateNoVideo, "not a video"},
		"text as mp4":  {write(t, "t.mp4", bytes.Repeat([]byte("words "), 1000)), pipeline.StateNoVideo, "not a video"},
		"half an mp4":  {write(t, "h.mp4", mp4[:len(mp4)/2]), pipeline.StateNoVideo, "damaged"},
		"playlist":     {write(t, "p.m3u8", []byte("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n")), pipeline.StateNoVideo, "not a video"},
		"file list":    {write(t, "p.ffconcat", []byte("ffconcat version 1.0\nfile /etc/passwd\n")), pipeline.StateNoVideo, "not a video"},
		"protocol":     {"http://127.0.0.1:1/a.mp4", pipeline.StateNotFound, "does not exist"},
		"short":        {write(t, "s.mp4", []byte{1}), pipeline.StateNoVideo, "not a video"},
		"uncompressed": {video(t, "r.avi", simulate.Spec{Frames: 2, Codec: "rawvideo"}), pipeline.StateCodec, "not compressed"},
		"looping text": {write(t, "t.avi", []byte("RIFFxxxxAVI LIST")), pipeline.StateNoVideo, ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, loop := range []bool{false, true} {
				_, err := run(t, file.Config{Path: tc.path, Loop: loop}, 0)
				state, reason := pipeline.StateOf(err)
				require.Equal(t, tc.state, state, reason)
				require.Contains(t, reason, tc.says)
			}
			_, err := file.Probe(tc.path)
			require.Error(t, err)
		})
	}
	_, err = file.New(file.Config{})
	require.Error(t, err)
}

func TestProbe(t *testing.T) {
	info, err := file.Probe(video(t, "a.mp4", simulate.Spec{FPS: 20, Frames: 40}))
	require.NoError(t, err)
	require.Equal(t, pipeline.H264, info.Format.Codec)
	require.InDelta(t, 20, info.FPS, 0.01)
	require.InDelta(t, 2, info.Duration.Seconds(), 0.1)
	require.False(t, info.Picture)
}

func TestCancelled(t *testing.T) {
	s, err := file.New(file.Config{Path: video(t, "a.mp4", simulate.Spec{}), Realtime: true, Loop: true})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.NoError(t, s.Run(ctx, &capture{}))
}
