package movie_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/playback/movie"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
	"detectd/pipeline/stage/record"
)

// tape is a recorder that is not given all sound.
type tape struct {
	*record.Recorder
	mute  func(at time.Duration) bool
	count int
}

func (t *tape) Sound(s pipeline.Sound) {
	if t.mute != nil && t.mute(s.PTS) {
		return
	}
	t.count++
	t.Recorder.Sound(s)
}

// taped records five seconds that flash and beep at the begin of each, in files of
// two seconds, and returns how many pieces of sound they have.
func taped(t *testing.T, name string, spec simulate.Spec, mute func(time.Duration) bool) ([]movie.Piece, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	spec.FPS, spec.Frames, spec.GOP = 25, 125, 25
	require.NoError(t, simulate.Generate(path, spec))
	src, err := file.New(file.Config{Path: path, StartTime: start})
	require.NoError(t, err)
	var index rows
	root := t.TempDir()
	r, err := record.New(record.Config{Root: root, CameraID: "door", SegmentLength: 2 * time.Second}, &index, slog.New(slog.DiscardHandler), record.Hooks{})
	require.NoError(t, err)
	on := &tape{Recorder: r, mute: mute}
	state, _ := pipeline.StateOf(src.Run(t.Context(), on))
	require.Equal(t, pipeline.StateEnded, state)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, r.Run(ctx))
	require.Len(t, index, 3)
	var pieces []movie.Piece
	for _, s := range index {
		pieces = append(pieces, movie.Piece{Path: filepath.Join(root, s.Path), Start: s.Start})
	}
	return pieces, on.count
}

// perceive plays a file as a player does: when the picture begins to flash, and when
// a tone begins; and the packets and samples of sound.
func perceive(t *testing.T, path string) (flashes, beeps []time.Duration, packets, samples int) {
	t.Helper()
	fc := astiav.AllocFormatContext()
	require.NoError(t, fc.OpenInput("file:"+path, nil, nil))
	defer fc.CloseInput()
	require.NoError(t, fc.FindStreamInfo(nil))
	decoders := map[int]*astiav.CodecContext{}
	for _, s := range fc.Streams() {
		cc := astiav.AllocCodecContext(astiav.FindDecoder(s.CodecParameters().CodecID()))
		defer cc.Free()
		require.NoError(t, s.CodecParameters().ToCodecContext(cc))
		require.NoError(t, cc.Open(astiav.FindDecoder(s.CodecParameters().CodecID()), nil))
		decoders[s.Index()] = cc
	}
	lit, quiet := false, -time.Second // since when
	see := func(s *astiav.Stream, f *astiav.Frame) {
		at := time.Duration(float64(f.Pts()) * s.TimeBase().Float64() * float64(time.Second))
		if s.CodecParameters().MediaType() == astiav.MediaTypeVideo {
			data, err := f.Data().Bytes(1)
			require.NoError(t, err)
			bright := data[f.Width()*f.Height()/2] > 200 && data[f.Width()*3/4] > 200
			if bright && !lit {
				flashes = append(flashes, at)
			}
			lit = bright
			return
		}
		samples += f.NbSamples()
		for i, v := range simulate.SamplesOf(f) {
			now := at + time.Duration(i)*time.Second/time.Duration(f.SampleRate())
			if math.Abs(float64(v)) < 0.1 {
				continue
			}
			if now-quiet > 500*time.Millisecond {
				beeps = append(beeps, now)
			}
			quiet = now
		}
	}
	pkt, f := astiav.AllocPacket(), astiav.AllocFrame()
	defer pkt.Free()
	defer f.Free()
	drain := func(s *astiav.Stream, p *astiav.Packet) {
		require.NoError(t, decoders[s.Index()].SendPacket(p))
		for decoders[s.Index()].ReceiveFrame(f) == nil {
			see(s, f)
			f.Unref()
		}
	}
	for {
		err := fc.ReadFrame(pkt)
		if errors.Is(err, astiav.ErrEof) {
			break
		}
		require.NoError(t, err)
		s := fc.Streams()[pkt.StreamIndex()]
		if s.CodecParameters().MediaType() == astiav.MediaTypeAudio {
			packets++
		}
		drain(s, pkt)
		pkt.Unref()
	}
	for _, s := range fc.Streams() {
		drain(s, nil)
	}
	return flashes, beeps, packets, samples
}

func save(t *testing.T, m *movie.Movie) string {
	t.Helper()
	defer m.Close()
	data, err := io.ReadAll(m)
	require.NoError(t, err)
	require.Equal(t, m.Size(), int64(len(data)))
	path := filepath.Join(t.TempDir(), "m.mp4")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

// apart is how far a flash and its beep may be from each other.
const apart = 40 * time.Millisecond

func requireInSync(t *testing.T, flashes, beeps []time.Duration, n int) {
	t.Helper()
	require.Len(t, flashes, n)
	require.Len(t, beeps, n)
	for i := range flashes {
		require.InDelta(t, flashes[i], beeps[i], float64(apart), "flash %d at %v", i, flashes[i])
	}
}

// TestSoundInSync: in each recorded file, in a movie of all and in a cut one, every
// beep is heard with its flash, and all of the sound is there.
func TestSoundInSync(t *testing.T) {
	for name, spec := range map[string]simulate.Spec{
		"aac.mp4":   {Sound: pipeline.AAC, BFrames: 2},
		"opus.mkv":  {Sound: pipeline.Opus, Codec: pipeline.H265},
		"pcmu.mov":  {Sound: pipeline.PCMU},
		"pcma.mkv":  {Sound: pipeline.PCMA},
		"mjpeg.mkv": {Sound: pipeline.AAC, Codec: pipeline.MJPEG},
	} {
		t.Run(name, func(t *testing.T) {
			pieces, sent := taped(t, name, spec, nil)
			all := 0
			for i, p := range pieces {
				flashes, beeps, packets, samples := perceive(t, p.Path)
				n := []int{2, 2, 1}[i]
				require.LessOrEqual(t, len(beeps), n+1, "the last piece reaches beyond the last picture")
				requireInSync(t, flashes, beeps[:min(n, len(beeps))], n)
				require.Positive(t, samples)
				all += packets
			}
			require.Equal(t, sent, all)

			m, err := movie.Open(pieces, start, start.Add(5*time.Second), movie.AtKeys)
			require.NoError(t, err)
			path := save(t, m)
			flashes, beeps, packets, _ := perceive(t, path)
			requireInSync(t, flashes, beeps, 5)
			require.InDelta(t, sent, packets, 1, "but what reaches beyond the last picture")

			m, err = movie.Open(pieces, start.Add(1300*time.Millisecond), start.Add(4500*time.Millisecond), movie.Exact)
			require.NoError(t, err)
			flashes, beeps, _, samples := perceive(t, save(t, m))
			require.InDelta(t, 700*time.Millisecond, flashes[len(flashes)-3], float64(apart))
			requireInSync(t, flashes[len(flashes)-3:], beeps, 3)
			require.Positive(t, samples)
		})
	}
}

// TestSoundThatIsNotThroughout: a movie has the first kind of sound in its span, and is
// silent where there is none; what follows is in sync again.
func TestSoundThatIsNotThroughout(t *testing.T) {
	missing := func(from, to time.Duration) func(time.Duration) bool {
		return func(at time.Duration) bool { return at >= from && at < to }
	}
	cases := map[string]func(time.Duration) bool{
		"begins late":       missing(0, 2500*time.Millisecond),
		"a hole in a file":  missing(2500*time.Millisecond, 3500*time.Millisecond),
		"none in one file":  missing(1900*time.Millisecond, 4100*time.Millisecond),
		"ends before video": missing(2500*time.Millisecond, time.Hour),
	}
	for name, mute := range cases {
		t.Run(name, func(t *testing.T) {
			pieces, sent := taped(t, "a.mp4", simulate.Spec{Sound: pipeline.AAC}, mute)
			m, err := movie.Open(pieces, start, start.Add(5*time.Second), movie.AtKeys)
			require.NoError(t, err)
			flashes, beeps, packets, samples := perceive(t, save(t, m))
			require.Len(t, flashes, 5)
			if mute(5 * time.Second) {
				require.InDelta(t, sent, packets, 1)
			} else {
				require.InDelta(t, 5, float64(samples)/48000, 0.03, "silence is where it is missing")
			}
			for _, flash := range flashes {
				heard := false
				for _, beep := range beeps {
					heard = heard || (beep-flash).Abs() <= apart
				}
				require.Equal(t, !mute(flash+apart), heard, "at %v", flash)
			}
		})
	}
}

func TestTwoKindsOfSound(t *testing.T) {
	first, _ := taped(t, "a.mp4", simulate.Spec{Sound: pipeline.AAC}, nil)
	second, _ := taped(t, "a.mkv", simulate.Spec{Sound: pipeline.Opus}, nil)
	third, _ := taped(t, "b.mp4", simulate.Spec{}, nil)
	for i := range second {
		second[i].Start = second[i].Start.Add(5 * time.Second)
		third[i].Start = third[i].Start.Add(10 * time.Second)
	}
	for name, pieces := range map[string][]movie.Piece{
		"AAC first":  append(append([]movie.Piece{}, first...), second...),
		"Opus alone": append(append([]movie.Piece{}, second...), third...),
	} {
		t.Run(name, func(t *testing.T) {
			m, err := movie.Open(pieces, start, start.Add(20*time.Second), movie.AtKeys)
			require.NoError(t, err)
			_, beeps, packets, _ := perceive(t, save(t, m))
			require.Len(t, beeps, 5, "of the first kind only")
			require.Positive(t, packets)
		})
	}
}

// TestSilence: what is put into holes is decoded as silence of the right length.
func TestSilence(t *testing.T) {
	hole := func(at time.Duration) bool { return at >= 1500*time.Millisecond && at < 3500*time.Millisecond }
	for name, tc := range map[string]struct {
		codec pipeline.Codec
		rate  float64
	}{"a.mp4": {pipeline.AAC, 48000}, "a.mkv": {pipeline.Opus, 48000}, "b.mkv": {pipeline.PCMU, 8000}, "c.mkv": {pipeline.PCMA, 8000}} {
		t.Run(string(tc.codec), func(t *testing.T) {
			pieces, _ := taped(t, name, simulate.Spec{Sound: tc.codec}, hole)
			m, err := movie.Open(pieces, start, start.Add(5*time.Second), movie.AtKeys)
			require.NoError(t, err)
			flashes, beeps, _, samples := perceive(t, save(t, m))
			require.InDelta(t, 5, float64(samples)/tc.rate, 0.03)
			require.Len(t, beeps, 3)
			for i, flash := range []int{0, 1, 4} {
				require.InDelta(t, flashes[flash], beeps[i], float64(apart))
			}
		})
	}
}

// TestFilled: with silence put in, the sound of a recorded file reaches from begin to
// end without a hole, whatever is missing of it, and stays with the pictures.
func TestFilled(t *testing.T) {
	for name, hole := range map[string][2]time.Duration{
		"begins late":       {0, 500 * time.Millisecond},
		"a hole":            {600 * time.Millisecond, 900 * time.Millisecond},
		"ends before video": {1500 * time.Millisecond, 2 * time.Second},
		"all there":         {},
	} {
		for file, codec := range map[string]pipeline.Codec{"a.mp4": pipeline.AAC, "a.mkv": pipeline.Opus} {
			t.Run(name+" of "+string(codec), func(t *testing.T) {
				pieces, _ := taped(t, file, simulate.Spec{Sound: codec}, func(at time.Duration) bool {
					return at >= hole[0] && at < hole[1]
				})
				f, err := os.Open(pieces[0].Path)
				require.NoError(t, err)
				defer f.Close()
				info, err := f.Stat()
				require.NoError(t, err)
				n, err := movie.HeadSize(f, info.Size())
				require.NoError(t, err)
				whole := make([]byte, n)
				_, err = f.ReadAt(whole, 0)
				require.NoError(t, err)
				media, err := movie.Filled(f)
				require.NoError(t, err)
				path := filepath.Join(t.TempDir(), "filled.mp4")
				require.NoError(t, os.WriteFile(path, append(whole, media...), 0o600))

				flashes, beeps, _, samples := perceive(t, path)
				require.InDelta(t, 2, float64(samples)/48000, 0.03, "sound throughout")
				require.Len(t, flashes, 2)
				heard := 0
				for _, flash := range flashes {
					if flash+apart >= hole[0] && flash < hole[1] {
						continue
					}
					require.InDelta(t, flash, beeps[heard], float64(apart))
					heard++
				}
				require.LessOrEqual(t, len(beeps), heard+1, "the last piece reaches beyond the last picture")
			})
		}
	}
}

// TestFilledOfNothing: a file that is torn before its first picture is an error.
func TestFilledOfNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "torn.mp4")
	require.NoError(t, os.WriteFile(path, []byte("torn"), 0o600))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = movie.Filled(f)
	require.ErrorIs(t, err, movie.ErrNoMedia)
}
