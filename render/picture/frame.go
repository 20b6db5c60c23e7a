package picture

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"

	"github.com/asticode/go-astiav"

	"detectd/pipeline/frame"
	"detectd/render/pixel"
)

// canvas puts a GIF's first frame, which may cover a part only, on its screen.
func canvas(img image.Image, info Info) image.Image {
	whole := image.Rect(0, 0, info.Width, info.Height)
	if info.Format != "gif" || img.Bounds() == whole {
		return img
	}
	screen := image.NewNRGBA(whole)
	draw.Draw(screen, img.Bounds(), img, img.Bounds().Min, draw.Src)
	return screen
}

// planar tells which libav format holds the planes of img as they are once they
// are turned by o. WebP's values have the limited range of video, JPEG's the full.
func planar(img *image.YCbCr, name string, o frame.Orientation) (astiav.PixelFormat, bool) {
	if name == "webp" {
		return astiav.PixelFormatYuv420P, img.SubsampleRatio == image.YCbCrSubsampleRatio420
	}
	switch r := img.SubsampleRatio; {
	case r == image.YCbCrSubsampleRatio444:
		return astiav.PixelFormatYuvj444P, true
	case r == image.YCbCrSubsampleRatio420:
		return astiav.PixelFormatYuvj420P, true
	case r == image.YCbCrSubsampleRatio422 && !o.Swapped(), r == image.YCbCrSubsampleRatio440 && o.Swapped():
		return astiav.PixelFormatYuvj422P, true
	case r == image.YCbCrSubsampleRatio440, r == image.YCbCrSubsampleRatio422:
		return astiav.PixelFormatYuvj440P, true
	case r == image.YCbCrSubsampleRatio411 && !o.Swapped():
		return astiav.PixelFormatYuvj411P, true
	}
	return 0, false
}

func toFrame(img image.Image, name string, o frame.Orientation, pool *frame.Pool) (*frame.Frame, error) {
	w, h := o.Size(img.Bounds().Dx(), img.Bounds().Dy())
	if a, ok := img.(*image.NYCbCrA); ok && name == "webp" {
		img = &a.YCbCr // how the picture shines through matters to nobody here
	}
	yuv, ok := img.(*image.YCbCr)
	format := astiav.PixelFormatRgb24
	if ok {
		var fits bool
		if format, fits = planar(yuv, name, o); !fits {
			ok, format = false, astiav.PixelFormatRgb24
		}
	}
	f := pool.Get()
	av := f.AV()
	av.SetWidth(w)
	av.SetHeight(h)
	av.SetPixelFormat(format)
	// JPEG and WebP are BT.601 at any size.
	frame.SetColour(av, frame.Colour{Matrix: astiav.ColorSpaceSmpte170M, Full: format != astiav.PixelFormatYuv420P})
	av.SetKeyFrame(true)
	if err := av.AllocBuffer(0); err != nil {
		f.Release()
		return nil, fmt.Errorf("take memory for %d x %d pixels: %w", w, h, err)
	}
	f.Key = true
	if ok {
		copyPlanes(av, yuv, o)
	} else {
		copyRGB(av, img, o)
	}
	return f, nil
}

func copyPlanes(av *astiav.Frame, img *image.YCbCr, o frame.Orientation) {
	r := img.Bounds()
	// Corners of the luma and chroma planes, of which a part may be hidden.
	y := img.Y[img.YOffset(r.Min.X, r.Min.Y):]
	c := img.COffset(r.Min.X, r.Min.Y)
	cw := img.COffset(r.Max.X-1, r.Min.Y) - c + 1
	ch := (img.COffset(r.Min.X, r.Max.Y-1)-c)/img.CStride + 1
	copyPlane(av, 0, y, img.YStride, r.Dx(), r.Dy(), o)
	copyPlane(av, 1, img.Cb[c:], img.CStride, cw, ch, o)
	copyPlane(av, 2, img.Cr[c:], img.CStride, cw, ch, o)
}

func copyPlane(av *astiav.Frame, plane int, src []byte, stride, w, h int, o frame.Orientation) {
	dst, step := pixel.Plane(av, plane)
	if o == frame.Upright {
		for y := range h {
			copy(dst[y*step:y*step+w], src[y*stride:])
		}
		return
	}
	dw, dh := o.Size(w, h)
	for y := range dh {
		row := dst[y*step : y*step+dw]
		for x := range row {
			sx, sy := o.From(x, y, w, h)
			row[x] = src[sy*stride+sx]
		}
	}
}

func copyRGB(av *astiav.Frame, img image.Image, o frame.Orientation) {
	at := reader(img)
	dst, step := pixel.Plane(av, 0)
	r := img.Bounds()
	for y := range av.Height() {
		row := dst[y*step : y*step+3*av.Width()]
		for x := range av.Width() {
			sx, sy := o.From(x, y, r.Dx(), r.Dy())
			row[3*x], row[3*x+1], row[3*x+2] = at(r.Min.X+sx, r.Min.Y+sy)
		}
	}
}

// reader returns the quickest way to the pixels of img: colours without their
// transparency, as detectors are trained on.
func reader(img image.Image) func(x, y int) (r, g, b uint8) {
	switch img := img.(type) {
	case *image.NRGBA:
		return func(x, y int) (uint8, uint8, uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.NRGBA64: // the high bytes; colours of hidden pixels would be lost below
		return func(x, y int) (uint8, uint8, uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[2], p[4]
		}
	case *image.RGBA: // opaque where the decoders return it
		return func(x, y int) (uint8, uint8, uint8) {
			p := img.Pix[img.PixOffset(x, y):]
			return p[0], p[1], p[2]
		}
	case *image.Gray:
		return func(x, y int) (uint8, uint8, uint8) {
			v := img.Pix[img.PixOffset(x, y)]
			return v, v, v
		}
	case *image.Paletted:
		var table [256][3]uint8
		for i, c := range img.Palette {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			table[i] = [3]uint8{n.R, n.G, n.B}
		}
		return func(x, y int) (uint8, uint8, uint8) {
			c := table[img.Pix[img.PixOffset(x, y)]]
			return c[0], c[1], c[2]
		}
	}
	return func(x, y int) (uint8, uint8, uint8) {
		c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
		return c.R, c.G, c.B
	}
}
