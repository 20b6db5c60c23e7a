// Package playback reads the pictures of recorded segments back, each with the
// time it belongs to.
//
// Times count from the first frame of the file, which is the capture time in the
// index: a frame at 2 s was captured at Segment.Start + 2 s. A file whose end is
// torn off is read as far as it goes.
package playback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"detectd/pipeline/frame"
)

// ErrNoFrame is returned when a file holds no picture that can be decoded.
var ErrNoFrame = errors.New("no picture in the recording")

// errStop ends a walk from within.
var errStop = errors.New("stop")

// FrameAt decodes the frame nearest to offset and returns it with its own time.
// The frame has one reference, which is the caller's.
func FrameAt(ctx context.Context, path string, offset time.Duration, pool *frame.Pool) (*frame.Frame, time.Duration, error) {
	var best *frame.Frame
	var bestAt time.Duration
	err := walk(ctx, path, offset, pool, func(f *frame.Frame, at time.Duration) error {
		if best != nil {
			if (at - offset).Abs() >= (bestAt - offset).Abs() {
				return errStop // those that follow are farther still
			}
			best.Release()
		}
		best, bestAt = f.Retain(), at
		return nil
	})
	switch {
	case err != nil:
		if best != nil {
			best.Release()
		}
		return nil, 0, fmt.Errorf("read frame of recording: %w", err)
	case best == nil:
		return nil, 0, fmt.Errorf("read frame of recording: %w", ErrNoFrame)
	}
	return best, bestAt, nil
}

// Play decodes the frames with times in [from, to) in order and gives each to fn,
// which borrows it: a frame kept must be retained. An error of fn ends playing
// and is returned. No frame in the span is no error.
func Play(ctx context.Context, path string, from, to time.Duration, pool *frame.Pool,
	fn func(f *frame.Frame, at time.Duration) error,
) error {
	err := walk(ctx, path, from, pool, func(f *frame.Frame, at time.Duration) error {
		switch {
		case at < from:
			return nil
		case at >= to:
			return errStop
		}
		return fn(f, at)
	})
	if err != nil {
		return fmt.Errorf("play recording: %w", err)
	}
	return nil
}

// walk decodes from the last key frame at or before from on, until the file ends
// or fn returns an error. errStop is no error.
func walk(ctx context.Context, path string, from time.Duration, pool *frame.Pool,
	fn func(f *frame.Frame, at time.Duration) error,
) error {
	r, err := open(path, pool)
	if err != nil {
		return err
	}
	defer r.close()
	err = r.run(ctx, from, fn)
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}
