package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"detectd/pipeline/playback/movie"
	"detectd/pipeline/soundtrack"
	"detectd/store"
	"detectd/web/api"
)

// mediaPort opens recordings.
type mediaPort struct{ d *Daemon }

var _ api.Media = mediaPort{}

// Open implements api.Media.
func (p mediaPort) Open(s store.Segment) (io.ReadSeekCloser, error) { return p.open(s) }

func (p mediaPort) open(s store.Segment) (*os.File, error) {
	f, err := os.Open(p.d.mediaPath(s))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("file of recording %d: %w", s.ID, store.ErrNotFound)
	}
	return f, err
}

// mostFilled is the largest file that is taken into memory to put silence into it.
const mostFilled = 128 << 20

// part is a piece of a file.
type part struct {
	*io.SectionReader
	io.Closer
}

// Part implements api.Media.
func (p mediaPort) Part(s store.Segment, which api.Part) (io.ReadSeekCloser, error) {
	f, err := p.open(s)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read recording %d: %w", s.ID, err), f.Close())
	}
	n, err := movie.HeadSize(f, info.Size())
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read recording %d: %w", s.ID, err), f.Close())
	}
	if which == api.PartFilled && info.Size() <= mostFilled {
		data, err := movie.Filled(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read recording %d: %w", s.ID, err), f.Close())
		}
		return part{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), f}, nil
	}
	if which == api.PartMedia || which == api.PartFilled {
		return part{io.NewSectionReader(f, n, info.Size()-n), f}, nil
	}
	head := make([]byte, n)
	if _, err := f.ReadAt(head, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("read recording %d: %w", s.ID, err), f.Close())
	}
	if which == api.PartSilentHead {
		soundtrack.Mute(head)
	}
	return part{io.NewSectionReader(bytes.NewReader(head), 0, n), f}, nil
}

// Movie implements api.Media. What is being recorded right now is part of it.
func (p mediaPort) Movie(ctx context.Context, cameraID string, r store.Range, exact bool) (api.Movie, error) {
	if length := r.To.Sub(r.From); length > movie.MaxLength {
		return nil, ofKind(api.ErrUnprocessable, fmt.Errorf("%v are too long for one file: ask for at most %v", length, movie.MaxLength))
	}
	cut := movie.AtKeys
	if exact {
		cut = movie.Exact
	}
	m, err := p.join(ctx, cameraID, r, cut)
	if errors.Is(err, fs.ErrNotExist) { // a file was completed or deleted just now
		m, err = p.join(ctx, cameraID, r, cut)
	}
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, movie.ErrNoMedia), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("recorded video of camera %q in this time: %w", cameraID, store.ErrNotFound)
	case errors.Is(err, movie.ErrMixed), errors.Is(err, movie.ErrTooLong):
		return nil, ofKind(api.ErrUnprocessable, err)
	}
	return nil, err
}

func (p mediaPort) join(ctx context.Context, cameraID string, r store.Range, cut movie.Cut) (*movie.Movie, error) {
	rows, err := store.AllSegments(ctx, recordings{p.d.records, p.d.growing}, cameraID, r)
	if err != nil {
		return nil, err
	}
	pieces := make([]movie.Piece, 0, len(rows))
	for _, s := range rows {
		pieces = append(pieces, movie.Piece{Path: p.d.mediaPath(s), Start: s.Start})
	}
	return movie.Open(pieces, r.From, r.To, cut)
}
