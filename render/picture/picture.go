// Package picture reads pictures that people upload: JPEG, PNG, WebP, BMP and the
// first frame of a GIF. Nothing in such a file is trusted: sizes are checked in the
// header before any pixel is decoded, and the decoders are Go's memory-safe ones.
package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"slices"
	"strings"

	"golang.org/x/image/bmp"
	"golang.org/x/image/webp"

	"detectd/pipeline/frame"
)

// Errors a file is refused with; their wrapping says why in words for people.
var (
	// ErrTooLarge is returned when the file or the picture in it is above the limits.
	ErrTooLarge = errors.New("picture is too large")
	// ErrNotPicture is returned when the file is no picture of a known format, or a damaged one.
	ErrNotPicture = errors.New("not a picture that can be read")
	// ErrTruncated is returned when the file ends before the picture does.
	ErrTruncated = errors.New("picture is cut off")
)

// Limits bound what Decode takes. A zero field takes its default.
type Limits struct {
	Bytes  int64 // size of the file, 32 MiB
	Pixels int64 // width times height, 64 million
}

// The defaults of Limits.
const (
	DefaultBytes  = 32 << 20
	DefaultPixels = 64_000_000
)

// Info tells what a file holds.
type Info struct {
	Format string // jpeg, png, webp, bmp or gif
	Width  int    // pixels, upright
	Height int
}

// format is one kind of file: its first bytes ('?' stands for any) and its reader.
type format struct {
	name   string
	magic  string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var formats = []format{
	{"jpeg", "\xff\xd8", jpeg.DecodeConfig, jpeg.Decode},
	{"png", "\x89PNG\r\n\x1a\n", png.DecodeConfig, png.Decode},
	{"webp", "RIFF????WEBPVP8", webp.DecodeConfig, webp.Decode},
	{"bmp", "BM????\x00\x00\x00\x00", bmp.DecodeConfig, bmp.Decode},
	{"gif", "GIF8?a", gif.DecodeConfig, gif.Decode},
}

// Decode reads one picture into a frame of the pool, upright as its EXIF
// orientation says. The frame has one reference, which is the caller's.
func Decode(r io.Reader, l Limits, pool *frame.Pool) (*frame.Frame, Info, error) {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Pixels <= 0 {
		l.Pixels = DefaultPixels
	}
	data, err := io.ReadAll(io.LimitReader(r, l.Bytes+1))
	if err != nil {
		return nil, Info{}, fmt.Errorf("read picture: %w", err)
	}
	if int64(len(data)) > l.Bytes {
		return nil, Info{}, fmt.Errorf("%w: the file has more than %s", ErrTooLarge, size(l.Bytes))
	}
	f, info, err := header(data, l)
	if err != nil {
		return nil, info, err
	}
	img, err := f.decode(bytes.NewReader(data))
	if err != nil {
		return nil, info, refuse(f.name, err)
	}
	o := frame.ReadOrientation(data)
	img = canvas(img, info)
	info.Width, info.Height = o.Size(info.Width, info.Height)
	out, err := toFrame(img, f.name, o, pool)
	if err != nil {
		return nil, info, fmt.Errorf("read picture: %w", err)
	}
	return out, info, nil
}

// Probe reads only the header: what the picture is, if Decode would take it.
func Probe(data []byte, l Limits) (Info, error) {
	if l.Pixels <= 0 {
		l.Pixels = DefaultPixels
	}
	_, info, err := header(data, l)
	return info, err
}

func header(data []byte, l Limits) (format, Info, error) {
	f, ok := sniff(data)
	if !ok {
		return f, Info{}, fmt.Errorf("%w: JPEG, PNG, WebP, BMP and GIF are known", ErrNotPicture)
	}
	cfg, err := f.config(bytes.NewReader(data))
	if err != nil {
		return f, Info{Format: f.name}, refuse(f.name, err)
	}
	info := Info{Format: f.name, Width: cfg.Width, Height: cfg.Height}
	switch {
	case cfg.Width < 1 || cfg.Height < 1:
		return f, info, fmt.Errorf("%w: the %s has no pixels", ErrNotPicture, f.name)
	case int64(cfg.Width) > l.Pixels/int64(cfg.Height):
		return f, info, fmt.Errorf("%w: picture is %d x %d pixels, at most %s are taken",
			ErrTooLarge, cfg.Width, cfg.Height, pixels(l.Pixels))
	}
	return f, info, nil
}

func sniff(data []byte) (format, bool) {
next:
	for _, f := range formats {
		if len(data) < len(f.magic) {
			continue
		}
		for i := range len(f.magic) {
			if f.magic[i] != '?' && f.magic[i] != data[i] {
				continue next
			}
		}
		return f, true
	}
	return format{}, false
}

func refuse(name string, err error) error {
	if cutOff(err) {
		return fmt.Errorf("%w: the %s file ends too early", ErrTruncated, name)
	}
	return fmt.Errorf("%w: %w", ErrNotPicture, err)
}

// cutOff tells whether a decoder ran out of file. Some say so in words of their
// own when the end comes among the pixels.
func cutOff(err error) bool {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return true
	}
	return slices.ContainsFunc([]string{
		"unexpected EOF", "short Huffman data", "not enough pixel data", "not enough image data", "short chunk data",
	}, func(end string) bool { return strings.HasSuffix(err.Error(), end) })
}

func size(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d bytes", n)
}

func pixels(n int64) string {
	if n >= 1e6 {
		return fmt.Sprintf("%d megapixels", n/1e6)
	}
	return fmt.Sprintf("%d pixels", n)
}
