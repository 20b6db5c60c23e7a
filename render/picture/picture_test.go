package picture_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/asticode/go-astiav"
	"github.com/stretchr/testify/require"
	"gocv.io/x/gocv"
	"golang.org/x/image/bmp"

	"detectd/pipeline/frame"
	"detectd/render/picture"
	"detectd/render/pixel"
)

// quarters is red, green / blue, white: each quarter tells where it came from.
func quarters(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, [...]color.NRGBA{
				{R: 255, A: 255}, {G: 255, A: 255}, {B: 255, A: 255}, {R: 255, G: 255, B: 255, A: 255},
			}[2*(y*2/h)+x*2/w])
		}
	}
	return img
}

func coded(t testing.TB, name string, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch name {
	case "jpeg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 95})
	case "png":
		err = png.Encode(&b, img)
	case "bmp":
		err = bmp.Encode(&b, img)
	case "gif":
		err = gif.Encode(&b, img, nil)
	}
	require.NoError(t, err)
	return b.Bytes()
}

// corners returns the letters of the colours in the quarters of a frame.
func corners(t *testing.T, f *frame.Frame) string {
	t.Helper()
	w, h := f.Width(), f.Height()
	b := make([]byte, 3*w*h)
	var s pixel.Scaler
	defer s.Close()
	require.NoError(t, s.ToBGR(f.AV(), b, 3*w, w, h))
	out := ""
	for _, xy := range [][2]int{{w / 4, h / 4}, {3 * w / 4, h / 4}, {w / 4, 3 * h / 4}, {3 * w / 4, 3 * h / 4}} {
		p := b[3*(xy[1]*w+xy[0]):]
		letter := "?"
		for k, c := range map[string][3]int{"R": {0, 0, 255}, "G": {0, 255, 0}, "B": {255, 0, 0}, "W": {255, 255, 255}} {
			near := true
			for i := range 3 {
				near = near && max(c[i]-int(p[i]), int(p[i])-c[i]) < 20
			}
			if near {
				letter = k
			}
		}
		out += letter
	}
	return out
}

func TestFormats(t *testing.T) {
	for _, name := range []string{"jpeg", "png", "bmp", "gif"} {
		t.Run(name, func(t *testing.T) {
			var pool frame.Pool
			f, info, err := picture.Decode(bytes.NewReader(coded(t, name, quarters(101, 67))), picture.Limits{}, &pool)
			require.NoError(t, err)
			defer f.Release()
			require.Equal(t, picture.Info{Format: name, Width: 101, Height: 67}, info)
			require.Equal(t, [2]int{101, 67}, [2]int{f.Width(), f.Height()})
			require.Equal(t, "RGBW", corners(t, f))
		})
	}
}

// TestHiddenColours reads colours that their transparency hides, of 8 and of 16 bits.
func TestHiddenColours(t *testing.T) {
	shallow, deep := image.NewNRGBA(image.Rect(0, 0, 2, 1)), image.NewNRGBA64(image.Rect(0, 0, 2, 1))
	for x, alpha := range []uint8{0, 3} {
		shallow.SetNRGBA(x, 0, color.NRGBA{R: 250, G: 120, B: 7, A: alpha})
		deep.SetNRGBA64(x, 0, color.NRGBA64{R: 250 << 8, G: 120 << 8, B: 7 << 8, A: uint16(alpha) << 8})
	}
	for _, img := range []image.Image{shallow, deep} {
		var pool frame.Pool
		var file bytes.Buffer
		require.NoError(t, png.Encode(&file, img))
		f, _, err := picture.Decode(&file, picture.Limits{}, &pool)
		require.NoError(t, err)
		pix, _ := pixel.Plane(f.AV(), 0)
		require.Equal(t, []byte{250, 120, 7, 250, 120, 7}, pix[:6], "%T", img)
		f.Release()
	}
}

// webP codes a picture; qualities above 100 are without loss.
func webP(t *testing.T, img *image.NRGBA, quality int) []byte {
	t.Helper()
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	bgr := gocv.NewMatWithSize(h, w, gocv.MatTypeCV8UC3)
	defer bgr.Close()
	pix, err := bgr.DataPtrUint8()
	require.NoError(t, err)
	for i := range w * h {
		pix[3*i], pix[3*i+1], pix[3*i+2] = img.Pix[4*i+2], img.Pix[4*i+1], img.Pix[4*i]
	}
	b, err := gocv.IMEncodeWithParams(".webp", bgr, []int{gocv.IMWriteWebpQuality, quality})
	require.NoError(t, err)
	defer b.Close()
	return bytes.Clone(b.GetBytes())
}

func TestWebP(t *testing.T) {
	for quality, format := range map[int]astiav.PixelFormat{
		95:  astiav.PixelFormatYuv420P, // lossy
		101: astiav.PixelFormatRgb24,   // lossless
	} {
		var pool frame.Pool
		f, info, err := picture.Decode(bytes.NewReader(webP(t, quarters(64, 48), quality)), picture.Limits{}, &pool)
		require.NoError(t, err)
		require.Equal(t, picture.Info{Format: "webp", Width: 64, Height: 48}, info)
		require.Equal(t, format, f.AV().PixelFormat())
		require.Equal(t, "RGBW", corners(t, f))
		f.Release()
	}
}

// subsampled codes a noisy JPEG whose chroma is stored as in the given format.
func subsampled(t *testing.T, w, h int, pf astiav.PixelFormat) []byte {
	t.Helper()
	codec := astiav.FindEncoder(astiav.CodecIDMjpeg)
	c := astiav.AllocCodecContext(codec)
	defer c.Free()
	c.SetWidth(w)
	c.SetHeight(h)
	c.SetPixelFormat(pf)
	c.SetTimeBase(astiav.NewRational(1, 25))
	require.NoError(t, c.Open(codec, nil))
	f, pkt := astiav.AllocFrame(), astiav.AllocPacket()
	defer f.Free()
	defer pkt.Free()
	f.SetWidth(w)
	f.SetHeight(h)
	f.SetPixelFormat(pf)
	require.NoError(t, f.AllocBuffer(0))
	for i := range 3 {
		b, _ := pixel.Plane(f, i)
		for j := range b {
			b[j] = byte(j*j/7 + i)
		}
	}
	require.NoError(t, c.SendFrame(f))
	require.NoError(t, c.ReceivePacket(pkt))
	return pkt.Data()
}

func TestJPEGPlanesAreKept(t *testing.T) {
	for pf, chroma := range map[astiav.PixelFormat][2]int{
		astiav.PixelFormatYuvj420P: {18, 11}, astiav.PixelFormatYuvj422P: {18, 21}, astiav.PixelFormatYuvj444P: {35, 21},
	} {
		data := subsampled(t, 35, 21, pf)
		var pool frame.Pool
		f, _, err := picture.Decode(bytes.NewReader(data), picture.Limits{}, &pool)
		require.NoError(t, err)
		require.Equal(t, pf, f.AV().PixelFormat())
		img, err := jpeg.Decode(bytes.NewReader(data))
		require.NoError(t, err)
		want := img.(*image.YCbCr)
		for i, src := range [][]byte{want.Y, want.Cb, want.Cr} {
			stride, w, h := want.YStride, 35, 21
			if i > 0 {
				stride, w, h = want.CStride, chroma[0], chroma[1]
			}
			got, step := pixel.Plane(f.AV(), i)
			for y := range h {
				require.Equal(t, src[y*stride:y*stride+w], got[y*step:y*step+w])
			}
		}
		f.Release()
		// Turned by a quarter, 4:2:2 becomes 4:4:0.
		f, info, err := picture.Decode(bytes.NewReader(withOrientation(data, 6, binary.LittleEndian, "II")), picture.Limits{}, &pool)
		require.NoError(t, err)
		require.Equal(t, [2]int{21, 35}, [2]int{info.Width, info.Height})
		if pf == astiav.PixelFormatYuvj422P {
			require.Equal(t, astiav.PixelFormatYuvj440P, f.AV().PixelFormat())
		}
		for i, src := range [][]byte{want.Y, want.Cb, want.Cr} {
			stride, w, h := want.YStride, 35, 21
			if i > 0 {
				stride, w, h = want.CStride, chroma[0], chroma[1]
			}
			got, step := pixel.Plane(f.AV(), i)
			for y := range h {
				for x := range w {
					require.Equal(t, src[y*stride+x], got[x*step+h-1-y], "plane %d at %d, %d", i, x, y)
				}
			}
		}
		f.Release()
		require.Zero(t, pool.Live())
	}
}

func TestGreyAndPalette(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 8, 8))
	for i := range grey.Pix {
		grey.Pix[i] = 77
	}
	for _, name := range []string{"jpeg", "png"} {
		var pool frame.Pool
		f, _, err := picture.Decode(bytes.NewReader(coded(t, name, grey)), picture.Limits{}, &pool)
		require.NoError(t, err)
		p, _ := pixel.Plane(f.AV(), 0)
		require.InDelta(t, 77, p[0], 2)
		require.Equal(t, astiav.PixelFormatRgb24, f.AV().PixelFormat())
		f.Release()
	}
}

// tiff is the body of an EXIF block.
func tiff(o uint16, order binary.AppendByteOrder, mark string) []byte {
	b := order.AppendUint16([]byte(mark), 42)
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	b = append(b, make([]byte, 12)...) // another entry
	b = order.AppendUint16(b, 0x0112)
	b = order.AppendUint16(b, 3)
	b = order.AppendUint32(b, 1)
	b = order.AppendUint16(b, o)
	return append(b, 0, 0)
}

// withOrientation puts an EXIF block behind the start of a JPEG.
func withOrientation(data []byte, o uint16, order binary.AppendByteOrder, mark string) []byte {
	body := append([]byte("Exif\x00\x00"), tiff(o, order, mark)...)
	out := append([]byte{}, data[:2]...)
	out = append(out, 0xFF, 0xE1)
	out = binary.BigEndian.AppendUint16(out, uint16(len(body)+2))
	return append(append(out, body...), data[2:]...)
}

// orientations tells the corners of quarters after each EXIF orientation.
var orientations = map[uint16]string{
	0: "RGBW", 1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "BRWG", 7: "WGBR", 8: "GWRB", 9: "RGBW",
}

func TestOrientation(t *testing.T) {
	jpg, lossless := coded(t, "jpeg", quarters(96, 64)), coded(t, "png", quarters(96, 64))
	webp := webP(t, quarters(96, 64), 95)
	for o, want := range orientations {
		t.Run(fmt.Sprint(o), func(t *testing.T) {
			var pool frame.Pool
			for _, b := range [][]byte{
				withOrientation(jpg, o, binary.LittleEndian, "II"), withOrientation(jpg, o, binary.BigEndian, "MM"),
				pngWithOrientation(lossless, o), webpWithOrientation(webp, o, ""), webpWithOrientation(webp, o, "Exif\x00\x00"),
			} {
				f, info, err := picture.Decode(bytes.NewReader(b), picture.Limits{}, &pool)
				require.NoError(t, err)
				require.Equal(t, want, corners(t, f), info.Format)
				require.Equal(t, [2]int{info.Width, info.Height}, [2]int{f.Width(), f.Height()})
				require.Equal(t, o >= 5 && o <= 8, info.Width < info.Height)
				require.LessOrEqual(t, f.Orientation, frame.Upright, "it is turned already")
				f.Release()
			}
		})
	}
}

// pngWithOrientation puts an eXIf chunk behind the header of a PNG.
func pngWithOrientation(data []byte, o uint16) []byte {
	const head = 8 + 12 + 13
	exif := append([]byte("eXIf"), tiff(o, binary.BigEndian, "MM")...)
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(exif)-4))
	chunk = binary.BigEndian.AppendUint32(append(chunk, exif...), crc32.ChecksumIEEE(exif))
	return append(append(append([]byte{}, data[:head]...), chunk...), data[head:]...)
}

// webpWithOrientation adds an EXIF chunk to a WebP file of the simple kind.
func webpWithOrientation(data []byte, o uint16, mark string) []byte {
	chunk := func(kind string, body []byte) []byte {
		b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(body))), body...)
		return append(b, make([]byte, len(body)%2)...)
	}
	const exifFlag = 8
	extended := []byte{exifFlag, 0, 0, 0, 95, 0, 0, 63, 0, 0} // 96 x 64 pixels, less one each
	body := append([]byte("WEBP"), chunk("VP8X", extended)...)
	body = append(body, data[12:]...)
	body = append(body, chunk("EXIF", append([]byte(mark), tiff(o, binary.LittleEndian, "II")...))...)
	return chunk("RIFF", body)
}

func TestGIFFrameSmallerThanItsScreen(t *testing.T) {
	g := &gif.GIF{
		Image:  []*image.Paletted{image.NewPaletted(image.Rect(10, 10, 14, 14), color.Palette{color.White, color.Black})},
		Delay:  []int{0},
		Config: image.Config{Width: 40, Height: 30},
	}
	var b bytes.Buffer
	require.NoError(t, gif.EncodeAll(&b, g))
	var pool frame.Pool
	f, _, err := picture.Decode(&b, picture.Limits{}, &pool)
	require.NoError(t, err)
	defer f.Release()
	require.Equal(t, [2]int{40, 30}, [2]int{f.Width(), f.Height()})
	p, step := pixel.Plane(f.AV(), 0)
	require.EqualValues(t, 0, p[0])
	require.EqualValues(t, 255, p[12*step+3*12])
}

// hugePNG is the header of a PNG of the given size, without the pixels.
func hugePNG(w, h uint32) []byte {
	ihdr := []byte("IHDR")
	ihdr = binary.BigEndian.AppendUint32(ihdr, w)
	ihdr = binary.BigEndian.AppendUint32(ihdr, h)
	ihdr = append(ihdr, 8, 2, 0, 0, 0)
	out := []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d")
	out = append(out, ihdr...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(ihdr))
}

func TestHugePictureIsRefusedByItsHeader(t *testing.T) {
	var pool frame.Pool
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, info, err := picture.Decode(bytes.NewReader(hugePNG(30000, 30000)), picture.Limits{}, &pool)
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, picture.ErrTooLarge)
	require.ErrorContains(t, err, "picture is 30000 x 30000 pixels, at most 64 megapixels are taken")
	require.Equal(t, 30000, info.Width)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), "no pixels are made room for")
	require.Zero(t, pool.Live())
	_, err = picture.Probe(hugePNG(100000, 100000), picture.Limits{})
	require.ErrorIs(t, err, picture.ErrTooLarge)
	_, _, err = picture.Decode(bytes.NewReader(coded(t, "png", quarters(20, 20))), picture.Limits{Pixels: 399}, &pool)
	require.ErrorContains(t, err, "picture is 20 x 20 pixels, at most 399 pixels are taken")
}

func TestBytesLimit(t *testing.T) {
	var pool frame.Pool
	data := coded(t, "png", quarters(20, 20))
	_, _, err := picture.Decode(bytes.NewReader(data), picture.Limits{Bytes: int64(len(data)) - 1}, &pool)
	require.ErrorIs(t, err, picture.ErrTooLarge)
	f, _, err := picture.Decode(bytes.NewReader(data), picture.Limits{Bytes: int64(len(data))}, &pool)
	require.NoError(t, err)
	f.Release()
	_, _, err = picture.Decode(io.LimitReader(endless{}, 1<<40), picture.Limits{}, &pool)
	require.ErrorContains(t, err, "the file has more than 32 MiB")
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestTruncatedFilesAreRefused(t *testing.T) {
	for _, name := range []string{"jpeg", "png", "bmp", "gif"} {
		data := coded(t, name, quarters(64, 48))
		for _, cut := range []int{len(data) / 3, len(data) / 2, len(data) * 9 / 10} {
			var pool frame.Pool
			_, _, err := picture.Decode(bytes.NewReader(data[:cut]), picture.Limits{}, &pool)
			require.ErrorIs(t, err, picture.ErrTruncated, "%s cut at %d of %d", name, cut, len(data))
			require.Zero(t, pool.Live())
		}
	}
}

func TestOtherFiles(t *testing.T) {
	var pool frame.Pool
	for _, data := range []string{"", "GIF", "hello, this is text", "%PDF-1.7", "<svg xmlns='http://www.w3.org/2000/svg'/>", "BM" + strings.Repeat("\x00", 60)} {
		_, _, err := picture.Decode(strings.NewReader(data), picture.Limits{}, &pool)
		require.ErrorIs(t, err, picture.ErrNotPicture, "%q", data)
	}
	broken := coded(t, "png", quarters(64, 48))
	broken[len(broken)/2] ^= 0xFF
	_, _, err := picture.Decode(bytes.NewReader(broken), picture.Limits{}, &pool)
	require.ErrorIs(t, err, picture.ErrNotPicture)
}

func FuzzDecode(f *testing.F) {
	for _, name := range []string{"jpeg", "png", "bmp", "gif"} {
		f.Add(coded(f, name, quarters(9, 7)))
	}
	f.Add(withOrientation(coded(f, "jpeg", quarters(9, 7)), 6, binary.LittleEndian, "II"))
	f.Add(hugePNG(30000, 30000))
	f.Fuzz(func(t *testing.T, data []byte) {
		var pool frame.Pool
		defer pool.Close()
		fr, info, err := picture.Decode(bytes.NewReader(data), picture.Limits{Pixels: 1 << 16}, &pool)
		if err != nil {
			require.Zero(t, pool.Live())
			return
		}
		require.Equal(t, [2]int{info.Width, info.Height}, [2]int{fr.Width(), fr.Height()})
		fr.Release()
	})
}
