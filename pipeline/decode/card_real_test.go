package decode_test

import (
	"context"
	"fmt"
	"hash/maphash"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// These tests need a card, and skip without one. DETECTD_CARD_CLIPS may name a folder
// with the clips, for machines whose libavcodec has no encoders: where it is empty and
// may be written to, the clips are left in it.

// clips are what is decoded both ways.
var clips = map[string]simulate.Spec{
	"plain.mp4":      {Frames: 60, Stamp: true},
	"b.mp4":          {Frames: 60, BFrames: 3},
	"open.mp4":       {Frames: 75, BFrames: 2, Open: true},
	"interlaced.mp4": {Frames: 50, Width: 720, Height: 576, Interlaced: true},
	"cropped.mp4":    {Frames: 40, Width: 322, Height: 246, BFrames: 1},
	"hd.mp4":         {Frames: 40, Width: 1920, Height: 1080, BFrames: 2},
	"plain5.mp4":     {Frames: 60, Codec: pipeline.H265, Stamp: true},
	"b5.mkv":         {Frames: 60, Codec: pipeline.H265, BFrames: 3},
	"cropped5.mp4":   {Frames: 40, Codec: pipeline.H265, Width: 322, Height: 246, BFrames: 1},
	"hd5.mp4":        {Frames: 40, Codec: pipeline.H265, Width: 1920, Height: 1080, BFrames: 2},
}

// clip reads one, and makes it where it is not there.
func clip(t *testing.T, name string) (pipeline.Format, []pipeline.Unit) {
	t.Helper()
	path := filepath.Join(os.Getenv("DETECTD_CARD_CLIPS"), name)
	if os.Getenv("DETECTD_CARD_CLIPS") == "" {
		path = filepath.Join(t.TempDir(), name)
	}
	if _, err := os.Stat(path); err != nil {
		require.NoError(t, simulate.Generate(path, clips[name]))
	}
	s, err := file.New(file.Config{Path: path})
	require.NoError(t, err)
	var c capture
	state, _ := pipeline.StateOf(s.Run(context.Background(), &c))
	require.Equal(t, pipeline.StateEnded, state)
	require.Len(t, c.formats, 1)
	return c.formats[0], c.units
}

func openCard(t *testing.T) *decode.Card {
	t.Helper()
	card, err := decode.OpenCard(0)
	if err != nil {
		t.Skip("NOT TESTED: ", err)
	}
	t.Cleanup(card.Close)
	return card
}

var seed = maphash.MakeSeed()

// shown is what is compared of a picture.
type shown struct {
	meta          frame.Meta
	width, height int
	sum           uint64 // of all its samples
	colour        frame.Colour
	unit          int // with which it came
}

// look sums up the samples of a picture, of planes or with the colours interleaved.
func look(t *testing.T, f *frame.Frame) uint64 {
	t.Helper()
	av := f.AV()
	var h maphash.Hash
	h.SetSeed(seed)
	planes := detecttest.Planes(f)
	row := func(plane, y int) []byte { return planes[plane].Pix[y*planes[plane].Stride:] }
	for y := range f.Height() {
		_, _ = h.Write(row(0, y)[:f.Width()])
	}
	across := (f.Width() + 1) / 2
	mixed := make([]byte, 2*across)
	for y := range (f.Height() + 1) / 2 {
		switch av.PixelFormat() {
		case astiav.PixelFormatNv12:
			copy(mixed, row(1, y)[:2*across])
		case astiav.PixelFormatYuv420P, astiav.PixelFormatYuvj420P:
			u, v := row(1, y), row(2, y)
			for x := range across {
				mixed[2*x], mixed[2*x+1] = u[x], v[x]
			}
		default:
			require.Fail(t, "cannot be read", "%s", av.PixelFormat())
		}
		_, _ = h.Write(mixed)
	}
	return h.Sum64()
}

// run decodes units; with hold, that many pictures are held before they are read.
func run(t *testing.T, f pipeline.Format, units []pipeline.Unit, card *decode.Card, hold int) (got []shown, where string) {
	t.Helper()
	var pool frame.Pool
	d, err := decode.New(f, &pool, decode.Options{CameraID: "cam", Card: card})
	require.NoError(t, err)
	var held []*frame.Frame
	var unit int
	read := func(n int) {
		for _, x := range held[:n] {
			at := len(got) - len(held)
			got[at].sum = look(t, x)
			got[at].colour = frame.ColourOf(x.AV())
			x.Release()
			held = held[1:]
		}
	}
	keep := func(x *frame.Frame) {
		got = append(got, shown{meta: x.Meta, width: x.Width(), height: x.Height(), unit: unit})
		if held = append(held, x); len(held) > hold {
			read(1)
		}
	}
	for i, u := range units {
		unit = i
		if err := d.Decode(u, keep); err != nil {
			require.ErrorIs(t, err, decode.ErrCorrupt)
		}
	}
	unit++
	require.NoError(t, d.Flush(keep))
	where, why := d.Where()
	d.Close()
	read(len(held)) // pictures outlive their decoder
	require.Zero(t, pool.Live())
	pool.Close()
	if card != nil && why != "" {
		t.Log("left the card: ", why)
	}
	return got, where
}

// TestCardExact decodes every clip on the card and on the CPU: the same pictures, with
// the same units, bit for bit.
func TestCardExact(t *testing.T) {
	card := openCard(t)
	for name := range clips {
		for _, hold := range []int{0, 3, 12} {
			t.Run(fmt.Sprint(name, " held ", hold), func(t *testing.T) {
				format, units := clip(t, name)
				want, _ := run(t, format, units, nil, hold)
				before := card.Stats()
				got, where := run(t, format, units, card, hold)
				require.Equal(t, pipeline.OnCard, where)
				require.Equal(t, want, got)
				require.EqualValues(t, len(want), card.Stats().Pictures-before.Pictures)
				require.EqualValues(t, len(want), card.Stats().Fetched-before.Fetched)
			})
		}
	}
}

// TestCardUnread leaves all pictures unread: no pixel leaves the card.
func TestCardUnread(t *testing.T) {
	card := openCard(t)
	format, units := clip(t, "hd.mp4")
	var pool frame.Pool
	defer pool.Close()
	d, err := decode.New(format, &pool, decode.Options{Card: card})
	require.NoError(t, err)
	defer d.Close()
	for _, u := range units {
		require.NoError(t, d.Decode(u, func(f *frame.Frame) { f.Release() }))
	}
	require.NotZero(t, card.Stats().Pictures)
	require.Zero(t, card.Stats().Fetched)
}

// TestCardSizeChange has the size change in the middle of a stream.
func TestCardSizeChange(t *testing.T) {
	card := openCard(t)
	for _, pair := range [][2]string{{"b.mp4", "hd.mp4"}, {"hd.mp4", "plain.mp4"}, {"b5.mkv", "hd5.mp4"}, {"hd5.mp4", "plain5.mp4"}} {
		t.Run(pair[0]+" "+pair[1], func(t *testing.T) {
			format, units := clip(t, pair[0])
			then, more := clip(t, pair[1])
			more[0].NALs = append(append([][]byte{}, then.ParameterSets...), more[0].NALs...)
			units = append(units, more...)
			want, _ := run(t, format, units, nil, 2)
			got, where := run(t, format, units, card, 2)
			require.Equal(t, pipeline.OnCard, where)
			require.Equal(t, want, got)
		})
	}
}

// TestCardDamage spoils and leaves out units. What the CPU makes of the pictures that
// miss something is its own guess; the groups without damage are the same.
func TestCardDamage(t *testing.T) {
	card := openCard(t)
	for _, name := range []string{"b.mp4", "plain.mp4", "b5.mkv", "plain5.mp4"} {
		t.Run(name, func(t *testing.T) {
			format, units := clip(t, name)
			var groups []int // first unit of each
			for i, u := range units {
				if u.Key {
					groups = append(groups, i)
				}
			}
			require.GreaterOrEqual(t, len(groups), 3)
			spoilt := append([]pipeline.Unit{}, units[:groups[1]]...)
			for i, u := range units[groups[1]:groups[2]] { // the second group
				switch {
				case i%7 == 3:
					continue
				case i%5 == 2:
					n := len(u.NALs) - 1
					bad := append([]byte{}, u.NALs[n]...)
					for at := len(bad) / 3; at < len(bad); at += 3 {
						bad[at] ^= 0x5a
					}
					u.NALs = append(append([][]byte{}, u.NALs[:n]...), bad)
				}
				spoilt = append(spoilt, u)
			}
			spoilt = append(spoilt, units[groups[2]:]...)
			good := func(all []shown) (kept []shown) {
				for _, s := range all {
					if s.meta.PTS < units[groups[1]].PTS || s.meta.PTS >= units[groups[2]].PTS {
						s.unit, s.meta.Seq = 0, 0 // a picture more or less may have come before
						kept = append(kept, s)
					}
				}
				return kept
			}
			want, _ := run(t, format, spoilt, nil, 1)
			got, where := run(t, format, spoilt, card, 1)
			t.Logf("the CPU gave %d pictures of %d units, the card %d", len(want), len(spoilt), len(got))
			require.Equal(t, pipeline.OnCard, where)
			require.Equal(t, good(want), good(got))
		})
	}
}

// TestCardLooks decodes key units alone again and again, as of an idle camera.
func TestCardLooks(t *testing.T) {
	card := openCard(t)
	format, units := clip(t, "hd.mp4")
	want, _ := run(t, format, units[:1], nil, 0)
	require.Len(t, want, 1)
	var pool frame.Pool
	defer pool.Close()
	d, err := decode.New(format, &pool, decode.Options{Card: card})
	require.NoError(t, err)
	defer d.Close()
	for range 30 {
		n := 0
		keep := func(f *frame.Frame) {
			n++
			require.Equal(t, want[0].sum, look(t, f))
			f.Release()
		}
		require.NoError(t, d.Decode(units[0], keep))
		require.NoError(t, d.Flush(keep))
		require.Equal(t, 1, n)
	}
}

// TestCardMany decodes many streams on one card at the same time.
func TestCardMany(t *testing.T) {
	card := openCard(t)
	var all sync.WaitGroup
	for _, name := range []string{"b.mp4", "hd.mp4", "b5.mkv", "hd5.mp4"} {
		format, units := clip(t, name)
		want, _ := run(t, format, units, nil, 0)
		for range 8 {
			all.Go(func() {
				got, where := run(t, format, units, card, 3)
				if where != pipeline.OnCard || len(got) != len(want) {
					t.Errorf("%s: %d of %d pictures on %s", name, len(got), len(want), where)
					return
				}
				for i := range got {
					if got[i] != want[i] {
						t.Errorf("%s: picture %d differs", name, i)
						return
					}
				}
			})
		}
	}
	all.Wait()
}
