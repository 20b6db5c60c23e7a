// Package peer detects as most systems do it, so that detectd can be measured
// against that: an ffmpeg process per camera decodes and writes whole RGB pictures
// into a pipe, OpenCV brings those to be looked at to the model's size, and ONNX
// Runtime runs them with its default settings.
//
// It is built to be no worse than such a system: one program with a thread per
// camera instead of an interpreter or a process for each, buffers that are reused,
// pictures that are not looked at are read and dropped, nothing is tracked, stored
// or served.
package peer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"sync/atomic"

	"detectd/pipeline/bench/floor"
)

// Config says what the peer does.
type Config struct {
	URLs          []string
	Width, Height int     // of the cameras' pictures
	FPS           float64 // of the cameras
	DetectFPS     float64
	Library       string // ONNX Runtime
	Model         string // ONNX file
}

// Count is what the peer has done so far.
type Count struct {
	Frames     uint64 `json:"frames"`
	Inferences uint64 `json:"inferences"`
	Objects    uint64 `json:"objects"`
}

// Run detects until ctx ends or a camera breaks. For every line that comes in it
// writes its Count as a line of JSON.
func Run(ctx context.Context, cfg Config, in io.Reader, out io.Writer) (err error) {
	if err := Available(); err != nil {
		return err
	}
	m, err := floor.OpenModel(cfg.Library, cfg.Model)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	d, err := NewDetector(m)
	if err != nil {
		return err
	}
	defer d.Close()
	every := max(1, int(math.Round(cfg.FPS/cfg.DetectFPS)))
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var frames, inferences, objects atomic.Uint64
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	for _, url := range cfg.URLs {
		wg.Go(func() {
			err := camera(ctx, d, url, cfg.Width, cfg.Height, every, func(found int) {
				inferences.Add(1)
				objects.Add(uint64(found)) //nolint:gosec // not negative
			}, &frames)
			if err != nil {
				cancel(err)
			}
		})
	}
	go func() { // ends with the standard input, at the latest with the process
		lines := bufio.NewScanner(in)
		for lines.Scan() {
			count := Count{Frames: frames.Load(), Inferences: inferences.Load(), Objects: objects.Load()}
			if err := json.NewEncoder(out).Encode(count); err != nil {
				cancel(fmt.Errorf("answer: %w", err))
			}
		}
		cancel(nil)
	}()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// camera looks at every n-th picture of one camera.
func camera(ctx context.Context, d *Detector, url string, width, height, every int, looked func(found int), frames *atomic.Uint64) error {
	p, err := open(ctx, url, width, height)
	if err != nil {
		return err
	}
	defer p.close()
	c, err := d.newCall()
	if err != nil {
		return err
	}
	defer c.close()
	for n := 0; ; n++ {
		if err := p.read(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		frames.Add(1)
		if n%every != 0 {
			continue
		}
		found, err := c.detect(p.picture)
		if err != nil {
			return err
		}
		looked(len(found))
	}
}
