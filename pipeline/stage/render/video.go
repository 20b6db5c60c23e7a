package render

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"detectd/detect"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/render"
	"detectd/store"
)

// maxDetections bounds the JSON of all that was found in a video, in bytes.
const maxDetections = 64 << 20

// input is the name of the copy of an upload that is read.
func input(name string) string { return "in" + offline.Extension(name) }

// video detects in all frames of an upload and makes a video with the boxes.
func (j *job) video(ctx context.Context, path string) error {
	in := filepath.Join(j.temp, input(j.Name))
	if err := j.fetch(ctx, in); err != nil {
		return err
	}
	detector, ref, err := j.stage.deps.Detector(ctx, detect.Ref{Model: j.Model, Version: j.Version})
	if err != nil {
		return fmt.Errorf("open model: %w", err)
	}
	j.Model, j.Version = ref.Model, ref.Version
	err = j.annotate(ctx, in, path, detector)
	j.MIME = "video/mp4"
	return errors.Join(err, detector.Close())
}

// fetch copies the upload to where libav can open it.
func (j *job) fetch(ctx context.Context, path string) (err error) {
	blob, _, err := j.stage.deps.Blobs.Open(ctx, j.Input)
	if errors.Is(err, store.ErrNotFound) {
		return errors.New("the uploaded file is gone")
	}
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("copy upload: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, blob); err != nil {
		return fmt.Errorf("copy upload: %w", err)
	}
	return nil
}

func (j *job) annotate(ctx context.Context, in, path string, detector detect.Detector) error {
	length := offline.Measure(in)
	out, tracker := &film{path: path}, j.stage.deps.Tracker()
	found := bytes.NewBufferString("[")
	var pool frame.Pool
	defer pool.Close()
	err := offline.File(ctx, offline.Config{Path: in, MaxFrames: j.stage.cfg.MaxFrames, Workers: threads()},
		detector, detect.Options{MinScore: float32(j.MinScore)}, &pool, func(f offline.Frame) error {
			objects := tracker.Update(f.PTS, f.Detections)
			if err := appendRecord(found, offline.NewRecord(f.Index, f.PTS, objects)); err != nil {
				return err
			}
			if err := out.add(f.Frame, objectLabels(objects), f.PTS, length.FPS); err != nil {
				return err
			}
			return j.progress(ctx, float64(f.Index+1)/float64(max(1, length.Frames, f.Index+1)))
		})
	if err != nil {
		_ = out.close() // nobody will see it
		return err
	}
	found.WriteByte(']')
	j.Detections = found.Bytes()
	return out.close()
}

func appendRecord(to *bytes.Buffer, r offline.Record) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode detections: %w", err)
	}
	if to.Len()+len(text) > maxDetections {
		return fmt.Errorf("more is found in the video than is kept: %d MiB of detections", maxDetections>>20)
	}
	if to.Len() > 1 {
		to.WriteByte(',')
	}
	to.Write(text)
	return nil
}

func objectLabels(objects []detect.Object) []render.Label {
	ls := make([]render.Label, 0, len(objects))
	for _, o := range objects {
		b := o.Box
		ls = append(ls, label(o.Label, o.Score, o.ClassID, o.TrackID, [4]float32{b.X, b.Y, b.W, b.H}))
	}
	return ls
}
