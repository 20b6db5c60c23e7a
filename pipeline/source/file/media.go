package file

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"detectd/pipeline"
	"detectd/pipeline/frame"
)

// Info describes a file without playing it.
type Info struct {
	Format   pipeline.Format
	FPS      float64       // of a video; 1 for a picture
	Duration time.Duration // of a video; 0 when unknown and for pictures
	Picture  bool          // one picture, not a video
	Sound    pipeline.SoundFormat
}

// Probe opens a file far enough to describe it. The error is a *pipeline.SourceError.
func Probe(path string) (Info, error) {
	m, err := open(path)
	if err != nil {
		return Info{}, err
	}
	defer m.close()
	return m.describe(), nil
}

// medium is an opened file. The times of its units are relative to its first.
type medium interface {
	describe() Info
	next() (pipeline.Unit, error) // io.EOF at the end
	sound() pipeline.SoundFormat
	heard() []pipeline.Sound // what was read of it since the last call
	close()
}

// maxPictureBytes bounds a picture file, which is read whole.
const maxPictureBytes = 256 << 20

// open looks at the file and opens it as a picture or a video.
func open(path string) (medium, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(pipeline.StateNotFound, "the file does not exist", err)
	case errors.Is(err, fs.ErrPermission):
		return nil, fail(pipeline.StateFailed, "detectd is not allowed to read the file", err)
	case err != nil:
		return nil, fail(pipeline.StateFailed, "the file cannot be read", err)
	case st.IsDir():
		return nil, fail(pipeline.StateBadURL, "the path leads to a folder, not to a file", nil)
	case !st.Mode().IsRegular():
		return nil, fail(pipeline.StateBadURL, "the path does not lead to a regular file", nil)
	case st.Size() == 0:
		return nil, fail(pipeline.StateNoVideo, "the file is empty", nil)
	}
	codec, err := sniffPicture(path)
	if err != nil {
		return nil, err
	}
	if codec == "" {
		return openVideo(path)
	}
	if st.Size() > maxPictureBytes {
		return nil, fail(pipeline.StateFailed, "the picture is too large", nil)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fail(pipeline.StateFailed, "the file cannot be read", err)
	}
	return &picture{codec: codec, data: data, orientation: frame.ReadOrientation(data)}, nil
}

// sniffPicture names the codec of a picture by its first bytes, or returns "".
func sniffPicture(path string) (pipeline.Codec, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return "", fail(pipeline.StateFailed, "detectd is not allowed to read the file", err)
	}
	if err != nil {
		return "", fail(pipeline.StateFailed, "the file cannot be read", err)
	}
	defer f.Close()
	head := make([]byte, 12)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", fail(pipeline.StateFailed, "the file cannot be read", err)
	}
	head = head[:n]
	ext := strings.ToLower(filepath.Ext(path))
	switch {
	case bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")):
		return "png", nil
	case bytes.HasPrefix(head, []byte{0xff, 0xd8, 0xff}) && !motionJPEG(path):
		return pipeline.MJPEG, nil
	case bytes.HasPrefix(head, []byte("RIFF")) && bytes.HasSuffix(head, []byte("WEBP")):
		return "webp", nil
	case bytes.HasPrefix(head, []byte("BM")) && ext == ".bmp":
		return "bmp", nil
	}
	return "", nil
}

// motionJPEG tells a stream of JPEGs from a picture, by its name: both begin alike.
func motionJPEG(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	return ext == ".mjpeg" || ext == ".mjpg"
}

// picture is a file that holds a single picture.
type picture struct {
	codec       pipeline.Codec
	data        []byte
	orientation frame.Orientation
	given       bool
}

func (p *picture) describe() Info {
	info := Info{Format: pipeline.Format{Codec: p.codec, Orientation: p.orientation}, FPS: 1, Picture: true}
	sizes := map[pipeline.Codec]func(io.Reader) (image.Config, error){
		"png": png.DecodeConfig, pipeline.MJPEG: jpeg.DecodeConfig,
	}
	if size, ok := sizes[p.codec]; ok {
		if c, err := size(bytes.NewReader(p.data)); err == nil {
			info.Format.Width, info.Format.Height = c.Width, c.Height
		}
	}
	return info
}

func (p *picture) next() (pipeline.Unit, error) {
	if p.given {
		return pipeline.Unit{}, io.EOF
	}
	p.given = true
	return pipeline.Unit{Key: true, NALs: [][]byte{p.data}}, nil
}

func (p *picture) close() {}
