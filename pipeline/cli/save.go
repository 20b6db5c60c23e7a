package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"detectd/detect"
	"detectd/pipeline/offline"
	"detectd/render"
	"detectd/render/draw"
	"detectd/render/video"
)

// saver writes what was found into a picture or a video, whichever the input is:
// the first frame is held back until a second one tells.
type saver struct {
	base    string // path without extension; "" saves nothing
	fps     float64
	first   *draw.Picture
	at      time.Duration // of the first frame
	last    time.Duration // of the newest, in the video
	encoder *video.Encoder
	aspect  [2]int             // of the pixels of the first frame
	boxes   []detect.Detection // of the last frame that was looked at
}

const jpegQuality = 90

func (r *detectRun) saver(input, name string) (*saver, error) {
	if r.Save == "" {
		return &saver{}, nil
	}
	s := &saver{base: filepath.Join(r.Save, name), fps: 25}
	if !offline.IsURL(input) {
		if fps := offline.Measure(input).FPS; fps > 0 {
			s.fps = fps
		}
		for _, ext := range []string{".jpg", ".mp4"} {
			if same(input, s.base+ext) {
				return nil, fmt.Errorf("--save %s would write over it: choose another folder", r.Save)
			}
		}
	}
	return s, nil
}

func same(a, b string) bool {
	x, errX := os.Stat(a)
	y, errY := os.Stat(b)
	return errX == nil && errY == nil && os.SameFile(x, y)
}

// frame draws and keeps one frame. Between two looked-at frames the boxes stay.
func (s *saver) frame(f offline.Frame) error {
	if s.base == "" {
		return nil
	}
	if f.Detected {
		s.boxes = f.Detections
	}
	picture, err := draw.Frame(f.Frame, render.Labels(s.boxes), render.Style{})
	if err != nil {
		return err
	}
	if s.encoder == nil && s.first == nil {
		aspect := f.Frame.AV().SampleAspectRatio()
		s.first, s.at, s.aspect = picture, f.PTS, [2]int{aspect.Num(), aspect.Den()}
		return nil
	}
	if s.encoder == nil {
		if err := s.startVideo(); err != nil {
			return errors.Join(err, picture.Close())
		}
	}
	// The encoder takes only times that grow; those of odd files may not.
	s.last = max(f.PTS-s.at, s.last+time.Millisecond)
	return errors.Join(s.encoder.WritePicture(picture, s.last), picture.Close())
}

func (s *saver) startVideo() (err error) {
	s.encoder, err = video.New(s.base+".mp4", video.Spec{Width: s.first.Width(), Height: s.first.Height(), FPS: s.fps, Aspect: s.aspect})
	if err != nil {
		return err
	}
	err = errors.Join(s.encoder.WritePicture(s.first, 0), s.first.Close())
	s.first = nil
	return err
}

// close finishes the file. A lone frame becomes a picture.
func (s *saver) close(ok bool) error {
	if s.encoder != nil {
		return s.encoder.Close()
	}
	if s.first == nil {
		return nil
	}
	defer func() { _ = s.first.Close() }()
	if !ok {
		return nil
	}
	jpeg, err := draw.JPEG(s.first, jpegQuality)
	if err != nil {
		return err
	}
	return os.WriteFile(s.base+".jpg", jpeg, 0o644)
}
