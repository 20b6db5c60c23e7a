// Package offline detects objects without a daemon: in pictures and video files,
// where no frame is lost and results come in order, and in live streams, where
// the newest frame wins.
package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
	"detectd/render/picture"
)

// Errors a file is refused with.
var (
	// ErrTooManyFrames is returned for a video longer than Config.MaxFrames.
	ErrTooManyFrames = errors.New("too many frames")
	// ErrNoFrame is returned for a video none of whose pictures can be decoded.
	ErrNoFrame = errors.New("no frame of it can be decoded")
	// ErrEmpty is returned for a file without a byte.
	ErrEmpty = errors.New("the file is empty")
)

// Config says how a file is gone through.
type Config struct {
	Path      string
	Every     int   // detect in every Nth frame; 0 and 1 mean all
	All       bool  // deliver the frames in between too, without detections
	MaxFrames int   // a longer video ends with ErrTooManyFrames; 0 is no limit
	MaxPixels int64 // of a picture or frame; 0 takes 64 Mpx
	Workers   int   // frames in detection at the same time; 0 takes the processors
}

// Frame is one frame with what was found in it.
type Frame struct {
	Frame      *frame.Frame // valid until the callback returns
	Index      int          // counts the file's frames from 0
	PTS        time.Duration
	Detections []detect.Detection
	Detected   bool // false for the frames between, see Config.All
}

// File detects in the picture or video at cfg.Path and calls fn for every frame
// in order. It ends with fn's error, if any. Its errors do not name the file.
func File(ctx context.Context, cfg Config, det detect.Detector, opts detect.Options, pool *frame.Pool, fn func(Frame) error) error {
	isPicture, err := sniff(cfg.Path)
	if err != nil {
		return err
	}
	if isPicture {
		return onePicture(ctx, cfg, det, opts, pool, fn)
	}
	return video(ctx, cfg, det, opts, pool, fn)
}

// sniff tells a picture from a video by the file's first bytes. A file of JPEGs
// one behind the other is told from a single one by its name.
func sniff(path string) (isPicture bool, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return false, fmt.Errorf("open file: %w", errOnly(err))
	case !info.Mode().IsRegular(): // opening a pipe would wait for ever
		return false, errors.New("it is not a file")
	case info.Size() == 0:
		return false, ErrEmpty
	}
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("open file: %w", errOnly(err))
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("read file: %w", errOnly(err))
	}
	kind := http.DetectContentType(head[:n])
	return strings.HasPrefix(kind, "image/") && (kind != "image/jpeg" || Extension(path) == ""), nil
}

// maxPictureBytes bounds a picture file, which is read whole.
const maxPictureBytes = 1 << 30

func onePicture(ctx context.Context, cfg Config, det detect.Detector, opts detect.Options, pool *frame.Pool, fn func(Frame) error) error {
	f, err := os.Open(cfg.Path)
	if err != nil {
		return fmt.Errorf("open file: %w", errOnly(err))
	}
	defer func() { _ = f.Close() }()
	pic, _, err := picture.Decode(f, picture.Limits{Bytes: maxPictureBytes, Pixels: cfg.MaxPixels}, pool)
	if err != nil {
		return err
	}
	defer pic.Release()
	found, err := det.Detect(ctx, []*frame.Frame{pic}, []detect.Options{opts})
	if err != nil {
		return fmt.Errorf("detect in picture: %w", err)
	}
	return fn(Frame{Frame: pic, Detections: found[0], Detected: true})
}

// job is a frame on its way through the workers. done is closed when
// detections and err are set.
type job struct {
	Frame
	err  error
	done chan struct{}
}

// video runs three kinds of goroutines: one decodes, some detect, and the
// caller's takes the frames in order. The queues bound how many frames live.
func video(ctx context.Context, cfg Config, det detect.Detector, opts detect.Options, pool *frame.Pool, fn func(Frame) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := cfg.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	todo, order := make(chan *job, workers), make(chan *job, 2*workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for j := range todo {
				j.detect(ctx, det, opts)
			}
		})
	}
	var readErr error
	wg.Go(func() {
		defer close(order)
		defer close(todo)
		readErr = read(ctx, cfg, pool, todo, order)
	})
	var err error
	for j := range order {
		<-j.done
		if err == nil {
			err = j.err
		}
		if err == nil {
			err = fn(j.Frame)
		}
		if err != nil {
			cancel()
		}
		j.Frame.Frame.Release()
	}
	wg.Wait()
	if err != nil {
		return err
	}
	return readErr
}

func (j *job) detect(ctx context.Context, det detect.Detector, opts detect.Options) {
	defer close(j.done)
	if err := ctx.Err(); err != nil {
		j.err = err
		return
	}
	found, err := det.Detect(ctx, []*frame.Frame{j.Frame.Frame}, []detect.Options{opts})
	if err != nil {
		j.err = fmt.Errorf("detect in frame %d: %w", j.Index, err)
		return
	}
	j.Detections, j.Detected = found[0], true
}

// read decodes the file and queues its frames.
func read(ctx context.Context, cfg Config, pool *frame.Pool, todo, order chan<- *job) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	source, err := file.New(file.Config{Path: cfg.Path})
	if err != nil {
		return reason(err)
	}
	index, every := 0, max(1, cfg.Every)
	sink := &decoding{pool: pool, maxPixels: cfg.MaxPixels, fail: cancel, emit: func(f *frame.Frame) {
		i := index
		index++
		if cfg.MaxFrames > 0 && i >= cfg.MaxFrames {
			cancel(fmt.Errorf("%w: at most %d are taken", ErrTooManyFrames, cfg.MaxFrames))
		}
		selected := i%every == 0
		if ctx.Err() != nil || (!selected && !cfg.All) {
			f.Release()
			return
		}
		j := &job{Frame: Frame{Frame: f, Index: i, PTS: f.PTS}, done: make(chan struct{})}
		if selected {
			todo <- j
		} else {
			close(j.done)
		}
		order <- j
	}}
	err = source.Run(ctx, sink)
	sink.end()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err = reason(err); err == nil && index == 0 {
		err = ErrNoFrame
	}
	return err
}
