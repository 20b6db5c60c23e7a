package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/bus"
	"detectd/pipeline/offline"
	"detectd/store"
)

// Video receives a video file, checks that it is one, stores it and queues its
// rendering. Errors: those of this package, and the detector's.
func (s *Stage) Video(ctx context.Context, up Upload) (store.Result, error) {
	ref, err := s.version(ctx, up.Ref)
	if err != nil {
		return store.Result{}, err
	}
	path, err := s.receive(up)
	if err != nil {
		return store.Result{}, err
	}
	defer func() { _ = os.Remove(path) }()
	if err := s.check(ctx, path); err != nil {
		return store.Result{}, err
	}
	r := newResult("video", up, ref)
	r.State = store.ResultQueued
	if r.Input, err = s.keep(ctx, path); err != nil {
		return store.Result{}, err
	}
	if err := s.queue(ctx, r); err != nil {
		s.drop(ctx, r.Input)
		return store.Result{}, err
	}
	s.announce(r)
	return r, nil
}

// version finds out which version will run, before gigabytes are received for a
// model that does not exist.
func (s *Stage) version(ctx context.Context, ref detect.Ref) (detect.Ref, error) {
	detector, ref, err := s.deps.Detector(ctx, ref)
	if err != nil {
		return ref, err
	}
	return ref, detector.Close()
}

// receive writes the body to a temporary file.
func (s *Stage) receive(up Upload) (path string, err error) {
	f, err := os.CreateTemp(s.cfg.Temp, "upload-*"+offline.Extension(up.Name))
	if err != nil {
		return "", fmt.Errorf("receive upload: %w", err)
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, io.LimitReader(up.Body, s.cfg.VideoBytes+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("receive upload: %w", err)
	case n > s.cfg.VideoBytes:
		return "", tooLarge(s.cfg.VideoBytes)
	case n == 0:
		return "", fmt.Errorf("%w: it is empty", ErrUnprocessable)
	}
	return f.Name(), nil
}

// check refuses what could not be rendered, as far as that shows at the
// beginning of the file.
func (s *Stage) check(ctx context.Context, path string) error {
	_, _, err := offline.Check(ctx, path, min(s.cfg.PicturePixels, maxVideoPixels))
	var source *pipeline.SourceError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return err
	case errors.Is(err, offline.ErrPicture):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	case errors.As(err, &source) && (source.State == pipeline.StateCodec || !looksLikeVideo(path)):
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	default:
		return fmt.Errorf("%w: %w", ErrUnprocessable, err)
	}
	// The exact number shows when it is rendered; what the head says may be a bit off.
	if n := offline.Measure(path).Frames; n-n/10 > s.cfg.VideoFrames {
		return fmt.Errorf("%w: the video has about %d frames, at most %d are taken", ErrUnprocessable, n, s.cfg.VideoFrames)
	}
	return nil
}

// looksLikeVideo tells a damaged video from another kind of file.
func looksLikeVideo(path string) bool {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	head := make([]byte, 512)
	n, _ := io.ReadFull(f, head)
	return strings.HasPrefix(http.DetectContentType(head[:n]), "video/")
}

// keep moves the checked file into the blob store.
func (s *Stage) keep(ctx context.Context, path string) (sha string, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return "", fmt.Errorf("store upload: %w", err)
	}
	defer func() { _ = f.Close() }()
	sha, _, err = s.deps.Blobs.Put(ctx, f)
	return sha, err
}

// queue makes the job durable. A row whose job did not reach the queue would be
// found at the next start; it is taken back because the sender is told it failed.
func (s *Stage) queue(ctx context.Context, r store.Result) error {
	if err := s.deps.Results.PutResult(ctx, r); err != nil {
		return err
	}
	err := s.deps.Bus.Enqueue(ctx, bus.RenderWork, r.ID, bus.RenderJob{ResultID: r.ID})
	if err != nil {
		err = errors.Join(err, s.deps.Results.DeleteResult(context.WithoutCancel(ctx), r.ID))
	}
	return err
}
