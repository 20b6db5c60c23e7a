package draw_test

import (
	"bytes"
	"image/jpeg"
	"math"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/pipeline/frame"
	"detectd/render"
	"detectd/render/draw"
	"detectd/render/pixel"
)

// plain makes a frame of one colour in the given format.
func plain(t *testing.T, pool *frame.Pool, w, h int, pf astiav.PixelFormat, c render.Color) *frame.Frame {
	t.Helper()
	f := pool.Get()
	t.Cleanup(f.Release)
	f.AV().SetWidth(w)
	f.AV().SetHeight(h)
	f.AV().SetPixelFormat(pf)
	require.NoError(t, f.AV().AllocBuffer(0))
	bgr := bytes.Repeat([]byte{c.B, c.G, c.R}, w*h)
	var s pixel.Scaler
	defer s.Close()
	require.NoError(t, s.FromBGR(bgr, 3*w, w, h, f.AV(), pixel.MatrixOf(f.AV())))
	return f
}

func at(t *testing.T, p *draw.Picture, x, y int) render.Color {
	t.Helper()
	b, stride, err := p.Pixels()
	require.NoError(t, err)
	i := y*stride + 3*x
	return render.Color{B: b[i], G: b[i+1], R: b[i+2]}
}

func near(t *testing.T, want, got render.Color, tolerance float64, where string) {
	t.Helper()
	require.InDelta(t, want.R, got.R, tolerance, "red %s", where)
	require.InDelta(t, want.G, got.G, tolerance, "green %s", where)
	require.InDelta(t, want.B, got.B, tolerance, "blue %s", where)
}

var grey = render.Color{R: 100, G: 100, B: 100}

func TestColourRangeAndMatrix(t *testing.T) {
	red := render.Color{R: 200, G: 30, B: 40}
	for _, tc := range []struct {
		name   string
		format astiav.PixelFormat
		h      int
	}{
		{"limited range, standard definition", astiav.PixelFormatYuv420P, 480},
		{"limited range, high definition", astiav.PixelFormatYuv420P, 720},
		{"full range", astiav.PixelFormatYuvj420P, 720},
		{"full range 4:2:2", astiav.PixelFormatYuvj422P, 480},
		{"nv12", astiav.PixelFormatNv12, 480},
		{"rgb", astiav.PixelFormatRgb24, 480},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var pool frame.Pool
			p, err := draw.Frame(plain(t, &pool, 640, tc.h, tc.format, red), nil, render.Style{})
			require.NoError(t, err)
			defer p.Close()
			near(t, red, at(t, p, 320, 100), 3, "in the middle")
		})
	}
	t.Run("known values", func(t *testing.T) { // 16 is black and 235 is white
		var pool frame.Pool
		f := plain(t, &pool, 64, 64, astiav.PixelFormatYuv420P, grey)
		y, _ := pixel.Plane(f.AV(), 0)
		for i := range y {
			y[i] = 235
		}
		p, err := draw.Frame(f, nil, render.Style{})
		require.NoError(t, err)
		defer p.Close()
		near(t, render.Color{R: 255, G: 255, B: 255}, at(t, p, 30, 30), 1, "white")
	})
}

func TestBoxEdges(t *testing.T) {
	var pool frame.Pool
	f := plain(t, &pool, 960, 540, astiav.PixelFormatYuv420P, grey) // lines of 2 pixels
	blue := render.Color{R: 10, G: 20, B: 250}
	p, err := draw.Frame(f, []render.Label{{Box: [4]float32{100, 200, 300, 150}, Color: blue}}, render.Style{})
	require.NoError(t, err)
	defer p.Close()
	for _, xy := range [][2]int{{100, 200}, {101, 275}, {399, 349}, {398, 275}, {250, 201}, {250, 348}} {
		require.Equal(t, blue, at(t, p, xy[0], xy[1]), "on the line at %v", xy)
	}
	for _, xy := range [][2]int{{99, 275}, {400, 275}, {250, 199}, {250, 350}, {102, 275}, {397, 275}, {250, 202}, {250, 347}} {
		near(t, grey, at(t, p, xy[0], xy[1]), 3, "off the line")
	}
}

func TestScaledDrawing(t *testing.T) {
	var pool frame.Pool
	f := plain(t, &pool, 960, 540, astiav.PixelFormatYuv420P, grey)
	blue := render.Color{B: 250}
	p, err := draw.Frame(f, []render.Label{{Box: [4]float32{100, 200, 300, 150}, Color: blue}}, render.Style{Width: 480})
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, [2]int{480, 270}, [2]int{p.Width(), p.Height()})
	require.Equal(t, blue, at(t, p, 50, 100))
	require.Equal(t, blue, at(t, p, 199, 174))
	near(t, grey, at(t, p, 125, 140), 3, "inside")
}

func TestTagStaysInside(t *testing.T) {
	yellow := render.Color{R: 240, G: 228, B: 66}
	for _, tc := range []struct {
		name string
		box  [4]float32
		x, y int // where the tag is to be seen
	}{
		{"above the box", [4]float32{100, 200, 100, 50}, 101, 197},
		{"at the upper edge", [4]float32{100, 0, 100, 50}, 101, 4},
		{"at the right edge", [4]float32{620, 200, 20, 50}, 600, 197},
		{"at the lower left corner", [4]float32{-50, 470, 100, 50}, 1, 467},
		{"over the whole picture", [4]float32{0, 0, 640, 480}, 2, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var pool frame.Pool
			f := plain(t, &pool, 640, 480, astiav.PixelFormatYuv420P, grey)
			p, err := draw.Frame(f, []render.Label{{Text: "person 91%", Box: tc.box, Color: yellow}}, render.Style{})
			require.NoError(t, err)
			defer p.Close()
			require.Equal(t, yellow, at(t, p, tc.x, tc.y))
			require.NotZero(t, count(t, p, func(c render.Color) bool { return c.R < 60 && c.G < 60 && c.B < 60 }), "black letters")
		})
	}
}

func TestOddLabels(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	var pool frame.Pool
	f := plain(t, &pool, 65, 33, astiav.PixelFormatYuv420P, grey)
	p, err := draw.Frame(f, []render.Label{
		{Text: "far away", Box: [4]float32{1e9, 1e9, 10, 10}},
		{Text: "nan", Box: [4]float32{nan, nan, nan, nan}},
		{Text: "inf", Box: [4]float32{-inf, -inf, inf, inf}},
		{Text: "negative", Box: [4]float32{30, 30, -10, -10}},
		{Text: "Füße, 犬 and a very long text that no picture of this size could ever hold", Box: [4]float32{3, 3, 20, 20}},
		{Box: [4]float32{5, 5, 1, 1}},
	}, render.Style{LineWidth: 40, FontScale: 9})
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

func TestJPEG(t *testing.T) {
	var pool frame.Pool
	p, err := draw.Frame(plain(t, &pool, 320, 240, astiav.PixelFormatYuv420P, grey), nil, render.Style{})
	require.NoError(t, err)
	defer p.Close()
	for _, q := range []int{0, 1, 100, 1000} {
		b, err := draw.JPEG(p, q)
		require.NoError(t, err)
		img, err := jpeg.Decode(bytes.NewReader(b))
		require.NoError(t, err)
		require.Equal(t, 320, img.Bounds().Dx())
		r, _, _, _ := img.At(100, 100).RGBA()
		require.InDelta(t, 100, r>>8, 8)
	}
}

func TestEmptyFrame(t *testing.T) {
	var pool frame.Pool
	f := pool.Get()
	defer f.Release()
	_, err := draw.Frame(f, nil, render.Style{})
	require.Error(t, err)
}

func count(t *testing.T, p *draw.Picture, like func(render.Color) bool) int {
	n := 0
	for y := range p.Height() {
		for x := range p.Width() {
			if like(at(t, p, x, y)) {
				n++
			}
		}
	}
	return n
}

func BenchmarkFrame1080p(b *testing.B) {
	var pool frame.Pool
	f := pool.Get()
	defer f.Release()
	f.AV().SetWidth(1920)
	f.AV().SetHeight(1080)
	f.AV().SetPixelFormat(astiav.PixelFormatYuv420P)
	require.NoError(b, f.AV().AllocBuffer(0))
	labels := []render.Label{{Text: "person 91%", Box: [4]float32{300, 300, 200, 400}}}
	for b.Loop() {
		p, err := draw.Frame(f, labels, render.Style{})
		require.NoError(b, err)
		require.NoError(b, p.Close())
	}
}

// TestUprightAndTrueShape: whatever the orientation and the shape of pixels, what was
// in the stored corner is where it is shown, and boxes are on it.
func TestUprightAndTrueShape(t *testing.T) {
	const w, h, side = 96, 64, 16
	var pool frame.Pool
	blue := render.Color{B: 250, G: 20, R: 20}
	for o := frame.Orientation(0); o <= 8; o++ {
		for _, shape := range [][2]int{{0, 1}, {3, 2}, {1, 2}} {
			f := plain(t, &pool, w, h, astiav.PixelFormatYuv444P, grey)
			bgr := bytes.Repeat([]byte{100, 100, 100}, w*h)
			for y := range side {
				for x := range side {
					copy(bgr[3*(y*w+x):], []byte{250, 20, 20})
				}
			}
			var s pixel.Scaler
			require.NoError(t, s.FromBGR(bgr, 3*w, w, h, f.AV(), pixel.MatrixOf(f.AV())))
			s.Close()
			f.Orientation = o
			f.AV().SetSampleAspectRatio(astiav.NewRational(shape[0], shape[1]))
			width, height := o.Size(w, h)
			// Where the stored corner is in the upright picture.
			var box [4]float32
			for _, at := range [][2]int{{0, 0}, {width - side, 0}, {0, height - side}, {width - side, height - side}} {
				if x, y := o.From(at[0]+side/2, at[1]+side/2, w, h); x < side && y < side {
					box = [4]float32{float32(at[0]), float32(at[1]), side, side}
				}
			}
			for _, style := range []render.Style{{LineWidth: 1}, {LineWidth: 1, TrueShape: true}} {
				across := 1.0
				if style.TrueShape {
					across = f.UprightAspect()
				}
				p, err := draw.Frame(f, []render.Label{{Box: box, Color: render.Color{R: 255}}}, style)
				require.NoError(t, err)
				require.Equal(t, [2]int{int(math.Round(float64(width) * across)), height}, [2]int{p.Width(), p.Height()})
				x, y := int(float64(box[0]+side/2)*across), int(box[1]+side/2)
				near(t, blue, at(t, p, x, y), 12, "in the box")
				near(t, render.Color{R: 255}, at(t, p, x, int(box[1])), 12, "on its upper side")
				near(t, render.Color{R: 255}, at(t, p, int(float64(box[0])*across), y), 12, "on its left side")
				near(t, grey, at(t, p, p.Width()/2, p.Height()/2), 8, "elsewhere")
				require.NoError(t, p.Close())
			}
		}
	}
}
