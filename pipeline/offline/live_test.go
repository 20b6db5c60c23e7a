package offline_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/file"
)

// play is a source that plays a file and then ends with err, if any.
type play struct {
	path string
	err  error
}

func (p play) Run(ctx context.Context, sink pipeline.Sink) error {
	source, err := file.New(file.Config{Path: p.path})
	if err != nil {
		return err
	}
	if err = source.Run(ctx, sink); p.err != nil {
		return p.err
	}
	return err
}

func TestLiveTakesTheNewest(t *testing.T) {
	path := generate(t, "v.mp4", simulate.Spec{})
	var pool frame.Pool
	defer pool.Close()
	got, last := 0, -1
	dropped, err := offline.Live(t.Context(), play{path: path}, 2, &reader{}, detect.Options{}, &pool, func(f offline.Frame) error {
		require.Greater(t, f.Index, last)
		require.Equal(t, f.Index, simulate.IndexOf(f.Frame.AV()))
		require.Equal(t, f.Index, f.Detections[0].ClassID)
		last = f.Index
		got++
		return nil
	})
	require.NoError(t, err, "the file was played to its end")
	require.Equal(t, 48, last, "the newest is never dropped")
	require.Equal(t, 25, got+dropped)
	require.Zero(t, pool.Live())
}

func TestLiveEnds(t *testing.T) {
	path := generate(t, "v.mp4", simulate.Spec{})
	broken := errors.New("broken")
	lost := &pipeline.SourceError{State: pipeline.StateLost, Reason: "the camera hung up"}
	for name, tc := range map[string]struct {
		source pipeline.Source
		det    *reader
		fn     func(context.CancelFunc) error
		want   error
		text   string
	}{
		"callback":  {play{path: path}, &reader{}, func(context.CancelFunc) error { return broken }, broken, "broken"},
		"detector":  {play{path: path}, &reader{before: func(int) error { return broken }}, nil, broken, "detect in frame"},
		"cancelled": {play{path: path}, &reader{}, func(c context.CancelFunc) error { c(); return nil }, context.Canceled, ""},
		"source":    {play{path, lost}, &reader{}, func(context.CancelFunc) error { return nil }, lost, "the camera hung up"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var pool frame.Pool
			defer pool.Close()
			_, err := offline.Live(ctx, tc.source, 1, tc.det, detect.Options{}, &pool, func(offline.Frame) error { return tc.fn(cancel) })
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			require.Zero(t, pool.Live())
		})
	}
}
