package upload

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/render"
	"detectd/render/draw"
	"detectd/render/picture"
	"detectd/store"
)

// Image is what was found in a picture.
type Image struct {
	Result     store.Result // done; its Model and Version are the ones that ran
	Width      int          // pixels, upright
	Height     int
	Detections []detect.Detection // best score first
	Took       time.Duration      // from the whole file to its detections
}

// Image reads one picture, finds its objects, and stores the picture with boxes
// as a result that is done. Errors: those of this package, and the detector's.
func (s *Stage) Image(ctx context.Context, up Upload) (Image, error) {
	data, err := io.ReadAll(io.LimitReader(up.Body, s.cfg.PictureBytes+1))
	switch {
	case err != nil:
		return Image{}, fmt.Errorf("read upload: %w", err)
	case int64(len(data)) > s.cfg.PictureBytes:
		return Image{}, tooLarge(s.cfg.PictureBytes)
	case len(data) == 0:
		return Image{}, fmt.Errorf("%w: it is empty", ErrUnprocessable)
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return Image{}, ctx.Err()
	}
	began := time.Now()
	var pool frame.Pool
	defer pool.Close()
	f, info, err := picture.Decode(bytes.NewReader(data), picture.Limits{Bytes: s.cfg.PictureBytes, Pixels: s.cfg.PicturePixels}, &pool)
	if err != nil {
		return Image{}, refusePicture(info, err)
	}
	defer f.Release()
	out := Image{Width: f.Width(), Height: f.Height()}
	ref, err := s.detect(ctx, f, up, &out)
	if err != nil {
		return Image{}, err
	}
	out.Took = time.Since(began)
	jpeg, err := annotated(f, out.Detections)
	if err != nil {
		return Image{}, err
	}
	out.Result, err = s.storeImage(ctx, newResult("image", up, ref), jpeg, out.Detections)
	return out, err
}

// detect runs the model that the upload names.
func (s *Stage) detect(ctx context.Context, f *frame.Frame, up Upload, out *Image) (detect.Ref, error) {
	detector, ref, err := s.deps.Detector(ctx, up.Ref)
	if err != nil {
		return ref, err
	}
	found, err := detector.Detect(ctx, []*frame.Frame{f}, []detect.Options{{MinScore: float32(up.MinScore)}})
	if err == nil {
		out.Detections = found[0]
	}
	return ref, errors.Join(err, detector.Close())
}

func annotated(f *frame.Frame, ds []detect.Detection) ([]byte, error) {
	p, err := draw.Frame(f, render.Labels(ds), render.Style{})
	if err != nil {
		return nil, err
	}
	jpeg, err := draw.JPEG(p, 0)
	return jpeg, errors.Join(err, p.Close())
}

func (s *Stage) storeImage(ctx context.Context, r store.Result, jpeg []byte, ds []detect.Detection) (store.Result, error) {
	objects := make([]detect.Object, len(ds))
	for i, d := range ds {
		objects[i].Detection = d
	}
	var err error
	if r.Detections, err = json.Marshal([]offline.Record{offline.NewRecord(0, 0, objects)}); err != nil {
		return r, fmt.Errorf("encode detections: %w", err)
	}
	if r.SHA256, r.Bytes, err = s.deps.Blobs.Put(ctx, bytes.NewReader(jpeg)); err != nil {
		return r, err
	}
	r.State, r.Progress, r.MIME = store.ResultDone, 1, "image/jpeg"
	r.FinishedAt = time.Now().UTC().Truncate(time.Millisecond)
	if err := s.deps.Results.PutResult(ctx, r); err != nil {
		s.drop(ctx, r.SHA256)
		return r, err
	}
	s.announce(r)
	return r, nil
}

// refusePicture says what kind of refusal err is. Bytes were counted before.
func refusePicture(info picture.Info, err error) error {
	if errors.Is(err, picture.ErrNotPicture) && info.Format == "" {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	return fmt.Errorf("%w: %w", ErrUnprocessable, err)
}
