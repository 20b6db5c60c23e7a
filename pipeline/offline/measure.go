package offline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
)

// Length is what a file says of itself before it is played.
type Length struct {
	Frames   int // 0 when unknown
	Duration time.Duration
	FPS      float64
}

// Measure reads a file's length from its head, for progress bars: it is an
// estimate, and zero where the file does not tell or cannot be read.
func Measure(path string) Length {
	if isPicture, err := sniff(path); err != nil {
		return Length{}
	} else if isPicture {
		return Length{Frames: 1}
	}
	info, err := file.Probe(path)
	if err != nil {
		return Length{}
	}
	frames := math.Round(info.Duration.Seconds() * info.FPS)
	if frames > math.MaxInt32 { // a damaged head
		frames = 0
	}
	return Length{Frames: int(frames), Duration: info.Duration, FPS: info.FPS}
}

// ErrPicture is returned by Check for a picture.
var ErrPicture = errors.New("the file is a picture, not a video")

// errEnough ends a walk from within.
var errEnough = errors.New("enough was read")

// Check decodes the first frame of a video and returns its size in pixels. A
// file without one, or with more than maxPixels (0 takes 64 Mpx), is refused.
func Check(ctx context.Context, path string, maxPixels int64) (width, height int, err error) {
	isPicture, err := sniff(path)
	if err != nil {
		return 0, 0, err
	}
	if isPicture {
		return 0, 0, ErrPicture
	}
	source, err := file.New(file.Config{Path: path})
	if err != nil {
		return 0, 0, reason(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var pool frame.Pool
	defer pool.Close()
	sink := &decoding{pool: &pool, maxPixels: maxPixels, fail: cancel, emit: func(f *frame.Frame) {
		width, height = f.Width(), f.Height()
		f.Release()
		cancel(errEnough)
	}}
	err = source.Run(ctx, sink)
	sink.end()
	switch cause := context.Cause(ctx); {
	case cause != nil && !errors.Is(cause, errEnough):
		return 0, 0, cause
	case width > 0:
		return width, height, nil
	case reason(err) != nil:
		return 0, 0, reason(err)
	}
	return 0, 0, fmt.Errorf("the video is damaged: %w", ErrNoFrame)
}

// Extension is the part of a file's name that a copy of it must keep to be read
// the same way: ".mjpeg" for JPEGs one behind the other, else "".
func Extension(name string) string {
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".mjpeg" || ext == ".mjpg" {
		return ".mjpeg"
	}
	return ""
}
