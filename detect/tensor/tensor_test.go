package tensor_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

func input(w, h int, layout detect.Layout, colour detect.Colour, resize detect.Resize) detect.Input {
	return detect.Input{
		Layout: layout, Width: w, Height: h, Colour: colour, Resize: resize, Pad: 114,
		Scale: 1, Std: [3]float32{1, 1, 1},
	}
}

// noise fills all planes with smooth noise, rows' padding included.
func noise(f *frame.Frame, wide bool) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range detecttest.Planes(f) {
		for i := range p.Pix {
			p.Pix[i] = byte(rng.UintN(256))
			if wide && i%2 == 1 {
				p.Pix[i] &= 3 // 10 bits
			}
		}
	}
}

// layoutOf tells how the reference finds component c of the pixel x, y.
type layoutOf struct {
	plane, step, offset [3]int
	cx, cy              int // chroma subsampling as shifts
	rgb, grey, full     bool
	wide                bool
	matrix              detecttest.Matrix
}

// at returns component c of a sample of its plane, edges repeated, in 0..255.
func (l layoutOf) at(f *frame.Frame, planes []detecttest.Plane, c, x, y int) float64 {
	w, h := f.Width(), f.Height()
	if c > 0 && !l.rgb {
		w, h = (w+1<<l.cx-1)>>l.cx, (h+1<<l.cy-1)>>l.cy
	}
	x, y = min(max(x, 0), w-1), min(max(y, 0), h-1)
	p := planes[l.plane[c]]
	if l.wide {
		at := y*p.Stride + 2*(x*l.step[c]+l.offset[c])
		v := float64(int(p.Pix[at]) | int(p.Pix[at+1])<<8)
		if l.full {
			return v * 255 / 1023
		}
		return v / 4
	}
	return float64(p.Pix[y*p.Stride+x*l.step[c]+l.offset[c]])
}

// weights returns the source samples of output sample i and their shares.
func weights(i int, scale float64) map[int]float64 {
	m := map[int]float64{}
	if scale <= 3 {
		p := (float64(i)+0.5)*scale - 0.5
		lo := math.Floor(p)
		m[int(lo)], m[int(lo)+1] = 1-(p-lo), p-lo
		return m
	}
	from, to := float64(i)*scale, float64(i+1)*scale
	for j := int(math.Floor(from)); float64(j) < to; j++ {
		m[j] = (math.Min(to, float64(j+1)) - math.Max(from, float64(j))) / scale
	}
	return m
}

// reference is the slow way: each pixel on its own, in float64.
func reference(f *frame.Frame, l layoutOf, in detect.Input) []float64 {
	g := tensor.NewGeometry(in, tensor.SourceOf(f))
	planes := detecttest.Planes(f)
	out := make([]float64, 3*in.Width*in.Height)
	for y := range in.Height {
		for x := range in.Width {
			rgb := [3]float64{float64(in.Pad), float64(in.Pad), float64(in.Pad)}
			if u, v := x-g.Left, y-g.Top; u >= 0 && u < g.Cols && v >= 0 && v < g.Rows {
				swapped, fromRight, fromBottom := f.Orientation.Parts()
				stored := g
				if swapped { // the picture is resized as it is stored
					u, v, stored.Cols, stored.Rows = v, u, g.Rows, g.Cols
				}
				if fromRight {
					u = stored.Cols - 1 - u
				}
				if fromBottom {
					v = stored.Rows - 1 - v
				}
				rgb = l.colour(f, planes, stored, u, v)
			}
			for ch := range 3 {
				c := ch
				if in.Colour == detect.BGR {
					c = 2 - ch
				}
				value := (rgb[c]*float64(in.Scale) - float64(in.Mean[ch])) / float64(in.Std[ch])
				if in.Layout == detect.NCHW {
					out[(ch*in.Height+y)*in.Width+x] = value
				} else {
					out[3*(y*in.Width+x)+ch] = value
				}
			}
		}
	}
	return out
}

func (l layoutOf) colour(f *frame.Frame, planes []detecttest.Plane, g tensor.Geometry, x, y int) [3]float64 {
	var v [3]float64
	for c := range 3 {
		if c > 0 && l.grey {
			break
		}
		sx, sy := float64(g.SrcW)/float64(g.Cols), float64(g.SrcH)/float64(g.Rows)
		if c > 0 && !l.rgb {
			sx, sy = sx/float64(int(1)<<l.cx), sy/float64(int(1)<<l.cy)
		}
		for j, wy := range weights(y, sy) {
			for i, wx := range weights(x, sx) {
				v[c] += wx * wy * l.at(f, planes, c, i, j)
			}
		}
	}
	switch {
	case l.rgb:
		return v
	case l.grey:
		v[1], v[2] = 128, 128
	}
	middle := 128.0 // of chroma
	if l.wide && l.full {
		middle = 512.0 * 255 / 1023
	}
	kr, kb := 0.299, 0.114
	switch l.matrix {
	case detecttest.BT709:
		kr, kb = 0.2126, 0.0722
	case detecttest.BT2020:
		kr, kb = 0.2627, 0.0593
	}
	luma, cb, cr := v[0], (v[1]-middle)/255, (v[2]-middle)/255
	if !l.full {
		luma = (luma - 16) * 255 / 219
		cb, cr = cb*255/224, cr*255/224
	}
	r := luma + 255*2*(1-kr)*cr
	b := luma + 255*2*(1-kb)*cb
	green := (luma - kr*r - kb*b) / (1 - kr - kb)
	clamp := func(x float64) float64 { return math.Min(math.Max(x, 0), 255) }
	return [3]float64{clamp(r), clamp(green), clamp(b)}
}

func planar(cx, cy int) layoutOf {
	return layoutOf{plane: [3]int{0, 1, 2}, step: [3]int{1, 1, 1}, cx: cx, cy: cy}
}

func TestFillAgreesWithReference(t *testing.T) {
	full := func(l layoutOf) layoutOf { l.full = true; return l }
	with := func(l layoutOf, m detecttest.Matrix) layoutOf { l.matrix = m; return l }
	wide := func(l layoutOf) layoutOf { l.wide = true; return l }
	semi := layoutOf{plane: [3]int{0, 1, 1}, step: [3]int{1, 2, 2}, offset: [3]int{0, 0, 1}, cx: 1, cy: 1}
	rgb := layoutOf{step: [3]int{3, 3, 3}, offset: [3]int{0, 1, 2}, rgb: true, full: true}
	bgr := layoutOf{step: [3]int{3, 3, 3}, offset: [3]int{2, 1, 0}, rgb: true, full: true}
	rgba := layoutOf{step: [3]int{4, 4, 4}, offset: [3]int{0, 1, 2}, rgb: true, full: true}
	grey := layoutOf{step: [3]int{1, 1, 1}, grey: true}
	yuyv := layoutOf{step: [3]int{2, 4, 4}, offset: [3]int{0, 1, 3}, cx: 1}
	uyvy := layoutOf{step: [3]int{2, 4, 4}, offset: [3]int{1, 0, 2}, cx: 1}
	formats := []struct {
		format astiav.PixelFormat
		layout layoutOf
	}{
		{astiav.PixelFormatYuv420P, planar(1, 1)},
		{astiav.PixelFormatYuv420P, with(planar(1, 1), detecttest.BT709)},
		{astiav.PixelFormatYuv420P, with(full(planar(1, 1)), detecttest.BT2020)},
		{astiav.PixelFormatYuvj420P, full(planar(1, 1))},
		{astiav.PixelFormatNv12, semi},
		{astiav.PixelFormatYuv422P, planar(1, 0)},
		{astiav.PixelFormatYuvj422P, full(planar(1, 0))},
		{astiav.PixelFormatYuv444P, planar(0, 0)},
		{astiav.PixelFormatYuyv422, yuyv},
		{astiav.PixelFormatUyvy422, full(uyvy)},
		{astiav.PixelFormatYuv420P10Le, wide(planar(1, 1))},
		{astiav.PixelFormatYuv420P10Le, full(wide(planar(1, 1)))},
		{astiav.PixelFormatRgb24, rgb},
		{astiav.PixelFormatBgr24, bgr},
		{astiav.PixelFormatRgba, rgba},
		{astiav.PixelFormatGray8, full(grey)},
		{astiav.PixelFormatGray8, grey},
	}
	sizes := [][2]int{{64, 48}, {37, 53}, {301, 97}, {17, 9}, {400, 300}}
	inputs := []detect.Input{
		input(40, 32, detect.NCHW, detect.RGB, detect.Stretch),
		input(33, 33, detect.NCHW, detect.BGR, detect.LetterboxTop),
		input(48, 31, detect.NHWC, detect.RGB, detect.LetterboxCentre),
	}
	inputs[2].Scale, inputs[2].Mean, inputs[2].Std = 1.0/255, [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
	var pool frame.Pool
	for _, fm := range formats {
		for _, size := range sizes {
			f := detecttest.Blank(t, &pool, fm.format, size[0], size[1])
			noise(f, fm.layout.wide)
			detecttest.Mark(f, fm.layout.full, fm.layout.matrix)
			for i, in := range inputs {
				name := fmt.Sprintf("%s %v %dx%d input %d", fm.format, fm.layout.full, size[0], size[1], i)
				filler, err := tensor.New(in)
				require.NoError(t, err)
				got := make([]float32, filler.Size())
				_, err = filler.Fill(got, f)
				require.NoError(t, err, name)
				scale := 1.0
				if in.Scale != 1 {
					scale = 1 / 0.224 / 255
				}
				require.Less(t, furthest(reference(f, fm.layout, in), got), 0.01*scale, name) // of 255 levels
			}
			f.Release()
		}
	}
	require.Zero(t, pool.Live())
}

// TestFillDeepRGB fills from RGB of 16 bits that is marked as limited, which RGB
// never is.
func TestFillDeepRGB(t *testing.T) {
	var pool frame.Pool
	f := detecttest.Blank(t, &pool, astiav.PixelFormatRgb48Le, 1, 1)
	defer f.Release()
	detecttest.Mark(f, false, detecttest.Unmarked)
	copy(detecttest.Planes(f)[0].Pix, []byte{0x00, 0xff, 0x00, 0x80, 0xff, 0xff})
	filler, err := tensor.New(input(1, 1, detect.NCHW, detect.RGB, detect.Stretch))
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	_, err = filler.Fill(got, f)
	require.NoError(t, err)
	require.InDeltaSlice(t, []float32{65280 / 257.0, 32768 / 257.0, 255}, got, 0.001)
}

// TestFillUnmarked fills from video that does not say its matrix, on both sides of
// the size from which on it is taken as high definition.
func TestFillUnmarked(t *testing.T) {
	var pool frame.Pool
	in := input(24, 20, detect.NCHW, detect.RGB, detect.LetterboxTop)
	filler, err := tensor.New(in)
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	for _, c := range []struct {
		w, h   int
		matrix detecttest.Matrix
	}{
		{720, 576, detecttest.BT601},
		{1278, 718, detecttest.BT601},
		{1280, 640, detecttest.BT709},
		{960, 720, detecttest.BT709},
		{720, 1280, detecttest.BT709},
	} {
		f := detecttest.Blank(t, &pool, astiav.PixelFormatYuv420P, c.w, c.h)
		noise(f, false)
		for i, level := range []byte{0, 90, 200} { // strong colour, which noise averages away
			pix := detecttest.Planes(f)[i].Pix
			for j := range pix {
				if i > 0 && j%8 > 0 {
					pix[j] = level
				}
			}
		}
		detecttest.Mark(f, false, detecttest.Unmarked)
		_, err := filler.Fill(got, f)
		require.NoError(t, err)
		right, wrong := planar(1, 1), planar(1, 1)
		right.matrix, wrong.matrix = c.matrix, detecttest.BT601+detecttest.BT709-c.matrix
		require.Less(t, furthest(reference(f, right, in), got), 0.01, "%dx%d", c.w, c.h)
		require.Greater(t, furthest(reference(f, wrong, in), got), 5.0, "%dx%d", c.w, c.h)
		f.Release()
	}
}

func furthest(want []float64, got []float32) float64 {
	worst := 0.0
	for i, v := range want {
		worst = max(worst, math.Abs(v-float64(got[i])))
	}
	return worst
}

func TestFillOnePixel(t *testing.T) {
	var pool frame.Pool
	f := detecttest.Picture(t, &pool, 1, 1)
	defer f.Release()
	filler, err := tensor.New(input(8, 8, detect.NCHW, detect.RGB, detect.LetterboxCentre))
	require.NoError(t, err)
	got := make([]float32, filler.Size())
	_, err = filler.Fill(got, f)
	require.NoError(t, err)
	for _, v := range got {
		require.InDelta(t, (detecttest.LumaDark-16)*255.0/219, v, 0.01)
	}
}

func TestFillRefuses(t *testing.T) {
	var pool frame.Pool
	in := input(8, 8, detect.NCHW, detect.RGB, detect.Stretch)
	filler, err := tensor.New(in)
	require.NoError(t, err)
	f := detecttest.Blank(t, &pool, astiav.PixelFormatPal8, 16, 16)
	defer f.Release()
	_, err = filler.Fill(make([]float32, filler.Size()), f)
	require.ErrorIs(t, err, tensor.ErrFormat)
	packed := detecttest.Blank(t, &pool, astiav.PixelFormatUyyvyy411, 16, 16) // luma in uneven steps
	defer packed.Release()
	_, err = filler.Fill(make([]float32, filler.Size()), packed)
	require.ErrorIs(t, err, tensor.ErrFormat)
	_, err = filler.Fill(make([]float32, 5), f)
	require.ErrorContains(t, err, "too small")

	for _, bad := range []func(*detect.Input){
		func(in *detect.Input) { in.Width = 0 },
		func(in *detect.Input) { in.Height = 1 << 20 },
		func(in *detect.Input) { in.Layout = "x" },
		func(in *detect.Input) { in.Colour = "x" },
		func(in *detect.Input) { in.Resize = "x" },
		func(in *detect.Input) { in.Scale = 0 },
		func(in *detect.Input) { in.Std[1] = 0 },
	} {
		changed := in
		bad(&changed)
		_, err := tensor.New(changed)
		require.Error(t, err)
	}
}

// TestPlansAreBounded fills from many sizes at once, more than are cached.
func TestPlansAreBounded(t *testing.T) {
	var pool frame.Pool
	filler, err := tensor.New(input(16, 16, detect.NCHW, detect.RGB, detect.LetterboxTop))
	require.NoError(t, err)
	errs := make(chan error)
	for n := range 4 {
		go func() {
			var err error
			dst := make([]float32, filler.Size())
			for i := range 150 {
				f := detecttest.Picture(t, &pool, 10+i, 10+n)
				_, e := filler.Fill(dst, f)
				if f.Release(); e != nil {
					err = e
				}
			}
			errs <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-errs)
	}
}

func TestGeometry(t *testing.T) {
	for _, c := range []struct {
		resize                detect.Resize
		w, h                  int
		left, top, cols, rows int
	}{
		{detect.Stretch, 1920, 1080, 0, 0, 416, 416},
		{detect.LetterboxTop, 1920, 1080, 0, 0, 416, 234},
		{detect.LetterboxCentre, 1920, 1080, 0, 91, 416, 234},
		{detect.LetterboxCentre, 480, 640, 52, 0, 312, 416},
		{detect.LetterboxTop, 10000, 1, 0, 0, 416, 1},
	} {
		g := tensor.NewGeometry(input(416, 416, detect.NCHW, detect.RGB, c.resize), tensor.Source{W: c.w, H: c.h})
		require.Equal(t, tensor.Geometry{SrcW: c.w, SrcH: c.h, Left: c.left, Top: c.top, Cols: c.cols, Rows: c.rows}, g)
		whole := g.ToSource(float32(g.Left), float32(g.Top), float32(g.Left+g.Cols), float32(g.Top+g.Rows))
		require.Equal(t, detect.Box{W: float32(c.w), H: float32(c.h)}, whole)
		outside := g.ToSource(-500, -500, -400, -400)
		require.Zero(t, outside.W*outside.H)
	}
}

func BenchmarkFill(b *testing.B) {
	for _, side := range []int{300, 416} {
		for _, format := range []astiav.PixelFormat{astiav.PixelFormatYuv420P, astiav.PixelFormatNv12} {
			for _, size := range [][2]int{{1920, 1080}, {640, 360}} {
				b.Run(fmt.Sprintf("%s/%dx%d/%d", format, size[0], size[1], side), func(b *testing.B) {
					resize := detect.Stretch
					if side == 416 {
						resize = detect.LetterboxTop
					}
					var pool frame.Pool
					f := detecttest.Blank(b, &pool, format, size[0], size[1])
					defer f.Release()
					noise(f, false)
					filler, err := tensor.New(input(side, side, detect.NCHW, detect.RGB, resize))
					require.NoError(b, err)
					dst := make([]float32, filler.Size())
					b.ReportAllocs()
					for b.Loop() {
						if _, err := filler.Fill(dst, f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
