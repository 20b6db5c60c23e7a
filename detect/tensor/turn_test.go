package tensor_test

import (
	"fmt"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// filled is the input that a frame makes, as numbers of 32 bits.
func filled(t *testing.T, in detect.Input, f *frame.Frame) []float32 {
	t.Helper()
	filler, err := tensor.New(in)
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	_, err = filler.Fill(got, f)
	require.NoError(t, err)
	return got
}

// turnedCopy is the frame with its pixels turned, the slow way.
func turnedCopy(t *testing.T, pool *frame.Pool, f *frame.Frame, o frame.Orientation, l layoutOf) *frame.Frame {
	t.Helper()
	w, h := o.Size(f.Width(), f.Height())
	out := detecttest.Blank(t, pool, f.AV().PixelFormat(), w, h)
	from, to := detecttest.Planes(f), detecttest.Planes(out)
	for c := range 3 {
		if c > 0 && l.grey {
			break
		}
		cx, cy := 0, 0
		if c > 0 && !l.rgb {
			cx, cy = l.cx, l.cy
		}
		size := 1
		if l.wide {
			size = 2
		}
		p := l.plane[c]
		for y := range h >> cy {
			for x := range w >> cx {
				sx, sy := o.From(x, y, f.Width()>>cx, f.Height()>>cy)
				for b := range size {
					to[p].Pix[y*to[p].Stride+size*(x*l.step[c]+l.offset[c])+b] = from[p].Pix[sy*from[p].Stride+size*(sx*l.step[c]+l.offset[c])+b]
				}
			}
		}
	}
	detecttest.Mark(out, l.full, l.matrix)
	return out
}

// TestFillTurns: a frame that is marked as turned makes the input of the reference,
// and that of the same picture whose pixels were turned before.
func TestFillTurns(t *testing.T) {
	semi := layoutOf{plane: [3]int{0, 1, 1}, step: [3]int{1, 2, 2}, offset: [3]int{0, 0, 1}, cx: 1, cy: 1}
	deep := planar(1, 1)
	deep.wide = true
	formats := []struct {
		format astiav.PixelFormat
		layout layoutOf
	}{
		{astiav.PixelFormatYuv420P, planar(1, 1)},
		{astiav.PixelFormatNv12, semi},
		{astiav.PixelFormatYuv444P, planar(0, 0)},
		{astiav.PixelFormatYuv420P10Le, deep},
		{astiav.PixelFormatRgb24, layoutOf{step: [3]int{3, 3, 3}, offset: [3]int{0, 1, 2}, rgb: true, full: true}},
		{astiav.PixelFormatGray8, layoutOf{step: [3]int{1, 1, 1}, grey: true, full: true}},
	}
	inputs := []detect.Input{
		input(40, 32, detect.NCHW, detect.RGB, detect.Stretch),
		input(33, 35, detect.NHWC, detect.BGR, detect.LetterboxCentre),
		input(48, 30, detect.NCHW, detect.BGR, detect.LetterboxTop),
	}
	var pool frame.Pool
	for _, fm := range formats {
		for _, size := range [][2]int{{64, 48}, {38, 150}, {201, 101}} {
			for o := frame.Orientation(0); o <= 8; o++ {
				f := detecttest.Blank(t, &pool, fm.format, size[0], size[1])
				noise(f, fm.layout.wide)
				detecttest.Mark(f, fm.layout.full, fm.layout.matrix)
				f.Orientation = o
				for i, in := range inputs {
					name := fmt.Sprintf("%s %v orientation %d input %d", fm.format, size, o, i)
					got := filled(t, in, f)
					for k, want := range reference(f, fm.layout, in) {
						require.InDelta(t, want, got[k], 0.01, name) // of 255 levels
					}
					if size[0]%2 == 0 { // the chroma of odd sizes lies otherwise once it is turned
						copied := turnedCopy(t, &pool, f, o, fm.layout)
						for k, want := range filled(t, in, copied) {
							require.InDelta(t, want, got[k], 0.01, name)
						}
						copied.Release()
					}
				}
				f.Release()
			}
		}
	}
	require.Zero(t, pool.Live())
}

// TestFillTurnsAllTypes: bytes and halves go where the floats go.
func TestFillTurnsAllTypes(t *testing.T) {
	var pool frame.Pool
	f := detecttest.Blank(t, &pool, astiav.PixelFormatYuv420P, 64, 48)
	defer f.Release()
	noise(f, false)
	for o := frame.Orientation(2); o <= 8; o++ {
		f.Orientation = o
		for _, layout := range []detect.Layout{detect.NCHW, detect.NHWC} {
			in := input(33, 35, layout, detect.RGB, detect.LetterboxCentre)
			want := filled(t, in, f)
			for _, kind := range []string{detect.Uint8, detect.Float16} {
				in.Type = kind
				filler, err := tensor.New(in)
				require.NoError(t, err)
				got := make([]byte, filler.Bytes())
				_, err = filler.FillBytes(got, f)
				require.NoError(t, err)
				for i, w := range want {
					var v float64
					if kind == detect.Uint8 {
						v = float64(got[i])
					} else {
						v = fromHalf(uint16(got[2*i]) | uint16(got[2*i+1])<<8)
					}
					require.InDelta(t, w, v, 0.51, "%s %s orientation %d", kind, layout, o)
				}
			}
		}
	}
}

// TestTurnedBoxes: boxes are those of the upright picture, whatever the orientation.
func TestTurnedBoxes(t *testing.T) {
	const w, h = 320, 240
	for o := frame.Orientation(0); o <= 8; o++ {
		for _, resize := range []detect.Resize{detect.Stretch, detect.LetterboxTop, detect.LetterboxCentre} {
			g := tensor.NewGeometry(input(416, 416, detect.NCHW, detect.RGB, resize), tensor.Source{W: w, H: h, Orientation: o})
			uw, uh := o.Size(w, h)
			sx, sy := float32(g.Cols)/float32(uw), float32(g.Rows)/float32(uh)
			for _, at := range [][2]int{{0, 0}, {uw - 16, 0}, {0, uh - 16}, {uw / 2, uh / 4}} {
				x, y := float32(g.Left)+float32(at[0])*sx, float32(g.Top)+float32(at[1])*sy
				box := g.ToSource(x, y, x+16*sx, y+16*sy)
				require.InDelta(t, at[0], box.X, 0.01, "orientation %d", o)
				require.InDelta(t, at[1], box.Y, 0.01, "orientation %d", o)
				require.InDelta(t, 16, box.W, 0.01)
				require.InDelta(t, 16, box.H, 0.01)
			}
		}
	}
}

// TestPixelShape: a letterboxed picture of wide pixels gets the room that its shown
// shape takes, and boxes are in stored pixels.
func TestPixelShape(t *testing.T) {
	var pool frame.Pool
	for _, c := range []struct {
		num, den, cols, rows int
		o                    frame.Orientation
	}{
		{0, 1, 416, 416, 1}, // not known: square
		{1, 1, 416, 416, 1},
		{2, 1, 416, 208, 1}, // half the columns were stored
		{1, 2, 208, 416, 1},
		{2, 1, 208, 416, 6},
		{12, 11, 416, 381, 1},
		{100, 1, 416, 416, 1}, // nonsense
	} {
		f := detecttest.Picture(t, &pool, 480, 480)
		f.AV().SetSampleAspectRatio(astiav.NewRational(c.num, c.den))
		f.Orientation = c.o
		g := tensor.NewGeometry(input(416, 416, detect.NCHW, detect.RGB, detect.LetterboxTop), tensor.SourceOf(f))
		require.Equal(t, [2]int{c.cols, c.rows}, [2]int{g.Cols, g.Rows}, "%d:%d", c.num, c.den)
		require.Equal(t, detect.Box{W: 480, H: 480}, g.ToSource(0, 0, float32(g.Cols), float32(g.Rows)))
		stretched := tensor.NewGeometry(input(416, 416, detect.NCHW, detect.RGB, detect.Stretch), tensor.SourceOf(f))
		require.Equal(t, [2]int{416, 416}, [2]int{stretched.Cols, stretched.Rows})
		f.Release()
	}
}
