// Package modelcheck shows what a model makes of a picture: it runs the model's
// self-check and draws what was found, for a person to look at.
package modelcheck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/render"
	"detectd/render/draw"
)

// maxWidth bounds the drawn picture, in pixels.
const maxWidth = 1280

// maxTime bounds a check with everything.
const maxTime = 2 * time.Minute

// Run checks a detector on a picture or the first frame of a video, and on a
// generated picture when path is empty. It returns the report and the picture
// with its boxes as a JPEG. The model finds what is in a generated picture only by
// chance; its report says so.
func Run(ctx context.Context, d detect.Detector, path string) (model.Report, []byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxTime,
		fmt.Errorf("%w: its self-check was stopped after %v", detect.ErrNotDetector, maxTime))
	defer cancel()
	pool := &frame.Pool{}
	defer pool.Close()
	var f *frame.Frame
	var err error
	if path == "" {
		f, err = Generated(pool)
	} else {
		f, err = first(ctx, path, pool)
	}
	if err != nil {
		return model.Report{}, nil, fmt.Errorf("check model: %w", err)
	}
	defer f.Release()
	report, found, err := model.SelfCheck(ctx, d, []*frame.Frame{f})
	if err != nil {
		return report, nil, err
	}
	picture, err := draw.Frame(f, render.Labels(found[0]), render.Style{Width: maxWidth})
	if err != nil {
		return report, nil, fmt.Errorf("draw what was found: %w", err)
	}
	defer func() { _ = picture.Close() }() // cannot fail
	jpeg, err := draw.JPEG(picture, 0)
	if err != nil {
		return report, nil, fmt.Errorf("draw what was found: %w", err)
	}
	return report, jpeg, nil
}

// errEnough ends the reading of a file after its first frame.
var errEnough = errors.New("one frame is enough")

// first returns the first frame of a picture or video, which is the caller's.
func first(ctx context.Context, path string, pool *frame.Pool) (f *frame.Frame, err error) {
	err = offline.File(ctx, offline.Config{Path: path, Workers: 1}, nothing{}, detect.Options{}, pool, func(o offline.Frame) error {
		f = o.Frame.Retain()
		return errEnough
	})
	switch {
	case f != nil:
		return f, nil
	case err == nil:
		err = offline.ErrNoFrame
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// nothing is a detector that finds nothing.
type nothing struct{}

// Detect implements detect.Detector.
func (nothing) Detect(_ context.Context, frames []*frame.Frame, _ []detect.Options) ([][]detect.Detection, error) {
	return make([][]detect.Detection, len(frames)), nil
}

// MaxBatch implements detect.Detector.
func (nothing) MaxBatch() int { return 1 }

// Contract implements detect.Detector.
func (nothing) Contract() detect.Contract { return detect.Contract{} }

// Close implements detect.Detector.
func (nothing) Close() error { return nil }

var _ detect.Detector = nothing{}
