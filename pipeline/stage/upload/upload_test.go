package upload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/pipeline/bus"
	"detectd/pipeline/decode"
	"detectd/pipeline/simulate"
	"detectd/pipeline/stage/upload"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/sqlite"
	"detectd/web/api"
)

func TestMain(m *testing.M) {
	decode.Quiet()
	goleak.VerifyTestMain(m)
}

// rig is a stage on real stores.
type rig struct {
	cfg     upload.Config
	deps    upload.Deps
	records *sqlite.Store
	blobs   *blob.Store
	folder  string // of the blobs
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log, dir := slog.New(slog.DiscardHandler), t.TempDir()
	r := &rig{folder: filepath.Join(dir, "blobs")}
	var err error
	r.records, err = sqlite.Open(t.Context(), filepath.Join(dir, "db"), log)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(r.folder, 0o700))
	r.blobs, err = blob.Open("file://" + r.folder)
	require.NoError(t, err)
	b, err := bus.Open(t.Context(), bus.Config{Folder: filepath.Join(dir, "bus")}, log)
	require.NoError(t, err)
	temp := filepath.Join(dir, "tmp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	runtime, bright := detecttest.Runtime(t), detecttest.Bright(t)
	t.Cleanup(func() {
		require.NoError(t, errors.Join(b.Close(), r.blobs.Close(), r.records.Close()))
	})
	r.cfg = upload.Config{Temp: temp, PictureBytes: 1 << 20, PicturePixels: 640 * 480, VideoBytes: 1 << 20, VideoFrames: 60}
	r.deps = upload.Deps{
		Results: r.records, Blobs: r.blobs, Bus: b, Log: log,
		Detector: func(_ context.Context, ref detect.Ref) (detect.Detector, detect.Ref, error) {
			if ref.Model == "" {
				ref.Model = "bright"
			}
			if ref.Model != "bright" {
				return nil, ref, fmt.Errorf("model %s: %w", ref, store.ErrNotFound)
			}
			det, err := model.Open(runtime, bright, model.Options{})
			return det, detect.Ref{Model: "bright", Version: 3}, err
		},
	}
	return r
}

func (r *rig) stage() *upload.Stage { return upload.New(r.cfg, r.deps) }

// files counts the regular files below a folder.
func files(t *testing.T, dir string) (n int) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	}))
	return n
}

// empty checks that a refused upload left nothing.
func (r *rig) empty(t *testing.T) {
	t.Helper()
	require.Zero(t, files(t, r.folder), "blobs")
	require.Zero(t, files(t, r.cfg.Temp), "temporary files")
	all, _, err := r.records.ListResults(t.Context(), "", store.Page{})
	require.NoError(t, err)
	require.Empty(t, all)
}

// yard is a PNG with a bright rectangle that is taller than wide.
func yard(t *testing.T, w, h int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			level := uint8(60)
			if x >= 80 && x < 144 && y >= 60 && y < 180 {
				level = 225
			}
			img.SetGray(x, y, color.Gray{Y: level})
		}
	}
	var b bytes.Buffer
	require.NoError(t, png.Encode(&b, img))
	return b.Bytes()
}

func TestImage(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	ready, heard, ended := make(chan struct{}), make(chan bus.Result, 1), make(chan error, 1)
	go func() {
		ended <- r.deps.Bus.Subscribe(ctx, ready, func(m bus.Message) {
			var e bus.Result
			if m.Decode(&e) == nil {
				heard <- e
			}
		}, bus.Under(bus.Results))
	}()
	<-ready
	got, err := r.stage().Image(t.Context(), upload.Upload{Body: bytes.NewReader(yard(t, 320, 240)), Name: "yard.png", MinScore: 0.5})
	require.NoError(t, err)
	require.Equal(t, []int{320, 240}, []int{got.Width, got.Height})
	require.Len(t, got.Detections, 1)
	require.Equal(t, "person", got.Detections[0].Label)
	require.InDelta(t, 80, got.Detections[0].Box.X, 5)
	require.Positive(t, got.Took)

	row, err := r.records.Result(t.Context(), got.Result.ID)
	require.NoError(t, err)
	require.Equal(t, store.ResultDone, row.State)
	require.Equal(t, []any{"image", "yard.png", "image/jpeg", "bright", 3, 0.5, 1.0},
		[]any{row.Kind, row.Name, row.MIME, row.Model, row.Version, row.MinScore, row.Progress})
	require.True(t, row.CreatedAt.Equal(got.Result.CreatedAt))
	require.False(t, row.FinishedAt.IsZero())
	var found []api.FrameDetections
	require.NoError(t, json.Unmarshal(row.Detections, &found), "in the API's shape")
	require.Len(t, found, 1)
	require.Equal(t, "person", found[0].Detections[0].Label)
	require.InDelta(t, got.Detections[0].Box.H, found[0].Detections[0].Box[3], 0.01)

	content, size, err := r.blobs.Open(t.Context(), row.SHA256)
	require.NoError(t, err)
	img, err := jpeg.Decode(content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	require.Equal(t, row.Bytes, size)
	require.Equal(t, image.Pt(320, 240), img.Bounds().Size())
	red, green, blue, _ := img.At(80, 120).RGBA() // on the left side of the box
	require.Greater(t, max(red, green, blue)-min(red, green, blue), uint32(0x2000), "a coloured box on a grey picture")

	require.Equal(t, bus.Result{ID: row.ID, Kind: "image", Name: "yard.png", State: store.ResultDone, Progress: 1}, <-heard)
	cancel()
	require.NoError(t, <-ended)
}

func TestImageRefuses(t *testing.T) {
	r := newRig(t)
	good := yard(t, 320, 240)
	broken := errors.New("the line broke")
	for name, tc := range map[string]struct {
		body io.Reader
		ref  detect.Ref
		want error
		text string
	}{
		"empty":      {body: bytes.NewReader(nil), want: upload.ErrUnprocessable, text: "empty"},
		"text":       {body: bytes.NewReader([]byte("no picture")), want: upload.ErrUnsupported, text: "are known"},
		"cut":        {body: bytes.NewReader(good[:len(good)/2]), want: upload.ErrUnprocessable, text: "too early"},
		"bytes":      {body: io.MultiReader(bytes.NewReader(good), bytes.NewReader(make([]byte, 1<<20))), want: upload.ErrTooLarge, text: "1 MiB"},
		"pixels":     {body: bytes.NewReader(yard(t, 641, 480)), want: upload.ErrUnprocessable, text: "641 x 480"},
		"body fails": {body: io.MultiReader(bytes.NewReader(good[:50]), iotest.ErrReader(broken)), want: broken, text: "read upload"},
		"no model":   {body: bytes.NewReader(good), ref: detect.Ref{Model: "none"}, want: store.ErrNotFound, text: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.stage().Image(t.Context(), upload.Upload{Body: tc.body, Ref: tc.ref})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			r.empty(t)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.stage().Image(ctx, upload.Upload{Body: bytes.NewReader(good)})
		require.ErrorIs(t, err, context.Canceled)
		r.empty(t)
	})
	t.Run("store fails", func(t *testing.T) {
		deps := r.deps
		deps.Results = failing{r.records}
		_, err := upload.New(r.cfg, deps).Image(t.Context(), upload.Upload{Body: bytes.NewReader(good)})
		require.ErrorIs(t, err, errStore)
		r.empty(t)
	})
}

var errStore = errors.New("the disk is full")

// failing is a store that takes no results.
type failing struct{ *sqlite.Store }

func (failing) PutResult(context.Context, store.Result) error { return errStore }

func video(t *testing.T, name string, spec simulate.Spec) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, simulate.Generate(path, spec))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func TestVideoIsQueued(t *testing.T) {
	for _, name := range []string{"a.mp4", "b.mkv", "c.mjpeg"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			spec := simulate.Spec{Frames: 20}
			if filepath.Ext(name) == ".mjpeg" {
				spec.Codec = "mjpeg"
			}
			data := video(t, name, spec)
			got, err := r.stage().Video(t.Context(), upload.Upload{Body: bytes.NewReader(data), Name: name, MinScore: 0.25})
			require.NoError(t, err)
			row, err := r.records.Result(t.Context(), got.ID)
			require.NoError(t, err)
			require.Equal(t, []any{"video", name, store.ResultQueued, "bright", 3, 0.25, ""},
				[]any{row.Kind, row.Name, row.State, row.Model, row.Version, row.MinScore, row.SHA256})
			content, size, err := r.blobs.Open(t.Context(), row.Input)
			require.NoError(t, err)
			require.EqualValues(t, len(data), size)
			require.NoError(t, content.Close())
			require.Zero(t, files(t, r.cfg.Temp))

			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var job bus.RenderJob
			require.NoError(t, r.deps.Bus.Work(ctx, bus.RenderWork, "render", func(_ context.Context, m bus.Message) error {
				defer cancel()
				return m.Decode(&job)
			}))
			require.Equal(t, got.ID, job.ResultID)
		})
	}
}

func TestVideoRefuses(t *testing.T) {
	r := newRig(t)
	good := video(t, "a.mp4", simulate.Spec{Frames: 20})
	for name, tc := range map[string]struct {
		body io.Reader
		name string
		ref  detect.Ref
		want error
		text string
	}{
		"empty":       {body: bytes.NewReader(nil), want: upload.ErrUnprocessable, text: "empty"},
		"text":        {body: bytes.NewReader([]byte("no video")), name: "a.mp4", want: upload.ErrUnsupported, text: "not a video"},
		"playlist":    {body: bytes.NewReader([]byte("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")), want: upload.ErrUnsupported, text: "not a video"},
		"picture":     {body: bytes.NewReader(yard(t, 320, 240)), want: upload.ErrUnsupported, text: "picture"},
		"cut":         {body: bytes.NewReader(good[:len(good)/2]), want: upload.ErrUnprocessable, text: "damaged"},
		"bytes":       {body: io.MultiReader(bytes.NewReader(good), bytes.NewReader(make([]byte, 1<<20))), want: upload.ErrTooLarge, text: "1 MiB"},
		"pixels":      {body: bytes.NewReader(video(t, "w.mp4", simulate.Spec{Width: 800, Height: 400, Frames: 3})), want: upload.ErrUnprocessable, text: "800x400"},
		"many frames": {body: bytes.NewReader(video(t, "l.mp4", simulate.Spec{Width: 128, Height: 96, Frames: 90})), want: upload.ErrUnprocessable, text: "about 90 frames"},
		"no model":    {body: iotest.ErrReader(errors.New("read")), ref: detect.Ref{Model: "none"}, want: store.ErrNotFound, text: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.stage().Video(t.Context(), upload.Upload{Body: tc.body, Name: tc.name, Ref: tc.ref})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
			require.NotContains(t, err.Error(), r.cfg.Temp, "no internal names")
			r.empty(t)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.stage().Video(ctx, upload.Upload{Body: bytes.NewReader(good)})
		require.ErrorIs(t, err, context.Canceled)
		r.empty(t)
	})
	t.Run("store fails", func(t *testing.T) {
		deps := r.deps
		deps.Results = failing{r.records}
		_, err := upload.New(r.cfg, deps).Video(t.Context(), upload.Upload{Body: bytes.NewReader(good)})
		require.ErrorIs(t, err, errStore)
		r.empty(t)
	})
	t.Run("queue fails", func(t *testing.T) {
		require.NoError(t, r.deps.Bus.Close())
		_, err := r.stage().Video(t.Context(), upload.Upload{Body: bytes.NewReader(good)})
		require.ErrorContains(t, err, "enqueue")
		r.empty(t)
	})
}
