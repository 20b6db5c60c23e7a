package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/detect/provider"
	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/sqlite"
)

func open(t *testing.T) (*Registry, *sqlite.Store, *blob.Store) {
	t.Helper()
	folder := t.TempDir()
	records, err := sqlite.Open(t.Context(), filepath.Join(folder, "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, records.Close()) })
	blobs, err := blob.Open("file://" + filepath.Join(folder, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, blobs.Close()) })
	return Open(detecttest.Runtime(t), records, blobs), records, blobs
}

func TestAddLoadRemove(t *testing.T) {
	r, records, blobs := open(t)
	file := detecttest.Bright(t)
	v, err := r.Add(t.Context(), New{Name: "bright", Licence: "MIT", Source: "a test"}, bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, 1, v.Version)
	require.Equal(t, "MIT", v.Licence)
	require.Equal(t, int64(len(file)), v.Size)

	again, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, v.Version, again.Version)
	other, err := r.Add(t.Context(), New{Name: "copy"}, bytes.NewReader(file))
	require.NoError(t, err, "another model may have the same file")

	one, err := r.Load(t.Context(), v)
	require.NoError(t, err)
	two, err := r.Load(t.Context(), v)
	require.NoError(t, err)
	require.Len(t, r.sessions, 1, "users share a session")
	elsewhere, err := r.LoadOn(t.Context(), v, provider.Choice{Order: []ort.Provider{ort.CPU}})
	require.NoError(t, err)
	require.Len(t, r.sessions, 2, "another provider is another session")
	require.NoError(t, elsewhere.Close())
	require.Len(t, r.sessions, 1)
	require.NoError(t, one.Close())
	require.NoError(t, one.Close(), "closing twice gives one share back")
	pool := &frame.Pool{}
	defer pool.Close()
	f := detecttest.Picture(t, pool, 128, 128, detecttest.Rect{X: 32, Y: 32, W: 40, H: 40})
	found, err := two.Detect(t.Context(), []*frame.Frame{f}, []detect.Options{{}})
	f.Release()
	require.NoError(t, err, "the other user's share still works")
	require.NotEmpty(t, found[0])
	require.NoError(t, two.Close())
	require.Empty(t, r.sessions)

	require.NoError(t, r.Remove(t.Context(), "bright", 1))
	_, err = r.Find(t.Context(), detect.Ref{Model: "bright", Version: 1})
	require.ErrorIs(t, err, store.ErrNotFound)
	reader, _, err := blobs.Open(t.Context(), v.SHA256)
	require.NoError(t, err, "copy@1 still has the file")
	require.NoError(t, reader.Close())
	require.NoError(t, r.Remove(t.Context(), other.Model, other.Version))
	_, _, err = blobs.Open(t.Context(), v.SHA256)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, records.Ping(t.Context()))
}

// TestOtherContract adds a file again with another contract: that is another version,
// as taking the one that has the file would leave the mistake in it that somebody
// wanted to mend. Both share the file.
func TestOtherContract(t *testing.T) {
	r, _, blobs := open(t)
	file := detecttest.Bright(t)
	v, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.NoError(t, err)
	again, err := r.Add(t.Context(), New{Name: "bright", Family: v.Family, Contract: map[string]string{"input.colour": "bgr"}}, bytes.NewReader(file))
	require.ErrorIs(t, err, store.ErrExists, "what it has already")
	require.Equal(t, 1, again.Version)

	rgb := New{Name: "bright", Contract: map[string]string{"input.colour": "rgb"}}
	mended, err := r.Add(t.Context(), rgb, bytes.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, 2, mended.Version)
	require.Equal(t, v.SHA256, mended.SHA256)
	require.Contains(t, string(mended.Contract), `"rgb"`)
	for name, c := range map[string]struct {
		m    New
		want int
	}{
		"rgb again":      {rgb, 2},
		"bgr again":      {New{Name: "bright", Contract: map[string]string{"input.colour": "bgr"}}, 1},
		"nothing said":   {New{Name: "bright"}, 2},
		"copy of either": {New{Name: "bright", Known: v.Contract}, 1},
	} {
		again, err := r.Add(t.Context(), c.m, bytes.NewReader(file))
		require.ErrorIs(t, err, store.ErrExists, name)
		require.Equal(t, c.want, again.Version, name)
	}
	_, err = r.Add(t.Context(), New{Name: "bright", Contract: map[string]string{"labels": "a,b,c"}}, bytes.NewReader(file))
	require.ErrorIs(t, err, detect.ErrNotDetector, "which the model does not fit")
	require.NoError(t, r.Remove(t.Context(), "bright", 1))
	_, _, err = blobs.Open(t.Context(), v.SHA256)
	require.NoError(t, err, "the other version has it")
	require.NoError(t, r.Remove(t.Context(), "bright", 2))
	_, _, err = blobs.Open(t.Context(), v.SHA256)
	require.Error(t, err)
}

// TestSelfCheckIsStored keeps the report and the picture with the version, and
// what the file says it was derived from.
func TestSelfCheckIsStored(t *testing.T) {
	r, _, blobs := open(t)
	r.CheckWith(func(_ context.Context, d detect.Detector) (model.Report, []byte, error) {
		return model.Report{Verdict: model.Unsure, Doubts: []string{d.Contract().Family}}, []byte("a picture"), nil
	})
	file, err := model.Seal(detecttest.Bright(t), detecttest.BrightContract(), detect.Lineage{Parent: "x@1", Method: "fp16"})
	require.NoError(t, err)
	v, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.NoError(t, err)
	require.Contains(t, string(v.Check), `"verdict":"unsure"`)
	require.JSONEq(t, `{"parent":"x@1","parent_sha256":"","method":"fp16"}`, string(v.Lineage))
	picture, size, err := blobs.Open(t.Context(), v.Overlay)
	require.NoError(t, err)
	require.EqualValues(t, 9, size)
	require.NoError(t, picture.Close())
	require.Equal(t, v.CreatedAt, v.CheckedAt)
	d, err := r.Load(t.Context(), v)
	require.NoError(t, err)
	defer func() { require.NoError(t, d.Close()) }()
	r.CheckWith(func(context.Context, detect.Detector) (model.Report, []byte, error) {
		return model.Report{Verdict: model.Pass}, []byte("another one"), nil
	})
	newer, report, err := r.Recheck(t.Context(), v, d)
	require.NoError(t, err)
	require.Equal(t, model.Pass, report.Verdict)
	require.Contains(t, string(newer.Check), `"verdict":"pass"`)
	require.False(t, newer.CheckedAt.Before(v.CheckedAt))
	stored, err := r.Find(t.Context(), detect.Ref{Model: "bright"})
	require.NoError(t, err)
	require.Equal(t, newer, stored)
	_, _, err = blobs.Open(t.Context(), v.Overlay)
	require.ErrorIs(t, err, store.ErrNotFound, "the picture before is gone")
	same, _, err := r.Recheck(t.Context(), newer, d)
	require.NoError(t, err)
	picture, _, err = blobs.Open(t.Context(), same.Overlay)
	require.NoError(t, err, "the same picture again is kept")
	require.NoError(t, picture.Close())

	r.CheckWith(func(context.Context, detect.Detector) (model.Report, []byte, error) {
		return model.Report{}, nil, errors.New("no luck")
	})
	_, _, err = r.Recheck(t.Context(), newer, d)
	require.EqualError(t, err, "bright@1: no luck")
	stored, err = r.Find(t.Context(), detect.Ref{Model: "bright"})
	require.NoError(t, err)
	require.Equal(t, same, stored)
	require.NoError(t, r.Remove(t.Context(), "bright", 1))
	_, _, err = blobs.Open(t.Context(), newer.Overlay)
	require.ErrorIs(t, err, store.ErrNotFound)
	_, err = r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.EqualError(t, err, "no luck")
	_, err = r.Find(t.Context(), detect.Ref{Model: "bright"})
	require.ErrorIs(t, err, store.ErrNotFound)
}

// TestCopyKeepsItsContract: a version that is copied under another name is not
// guessed anew.
func TestCopyKeepsItsContract(t *testing.T) {
	r, _, _ := open(t)
	file := detecttest.Bright(t)
	v, err := r.Add(t.Context(), New{Name: "bright", Contract: map[string]string{"min_score": "0.875"}}, bytes.NewReader(file))
	require.NoError(t, err)
	again, err := r.Add(t.Context(), New{Name: "copy", Known: v.Contract}, bytes.NewReader(file))
	require.NoError(t, err)
	require.JSONEq(t, string(v.Contract), string(again.Contract))
	_, err = r.Add(t.Context(), New{Name: "bad", Known: []byte("{")}, bytes.NewReader(file))
	require.ErrorContains(t, err, "read contract")
}

// TestExpectedChecksum refuses another file than the one that was announced, and
// leaves nothing of it.
func TestExpectedChecksum(t *testing.T) {
	r, records, blobs := open(t)
	_, err := r.Add(t.Context(), New{Name: "bright", SHA256: strings.Repeat("ab", 32)}, bytes.NewReader(detecttest.Bright(t)))
	require.ErrorIs(t, err, ErrChecksum)
	require.ErrorContains(t, err, "not abab")
	models, err := records.ListModels(t.Context())
	require.NoError(t, err)
	require.Empty(t, models)
	require.NoError(t, blobs.Each(t.Context(), func(address string, _ int64) error { return fmt.Errorf("blob %s was left", address) }))
}

func TestRefusedFilesChangeNothing(t *testing.T) {
	r, records, blobs := open(t)
	for name, c := range map[string]struct {
		model string
		file  []byte
		want  error
		text  string
	}{
		"text":          {"bad", []byte("hello, I am not a model"), detect.ErrNotONNX, ""},
		"empty":         {"bad", nil, detect.ErrNotONNX, ""},
		"cut short":     {"bad", detecttest.Bright(t)[:100], nil, ""},
		"no detector":   {"bad", detecttest.Identity(t), detect.ErrNotDetector, ""},
		"external data": {"bad", detecttest.External(t), detect.ErrExternalData, ""},
		"NaN":           {"bad", detecttest.NaN(t), nil, ""},
		"bad name":      {"../x", detecttest.Bright(t), nil, "lower-case"},
		"with version":  {"bad@2", detecttest.Bright(t), nil, "numbered by detectd"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.Add(t.Context(), New{Name: c.model}, bytes.NewReader(c.file))
			require.Error(t, err)
			if c.want != nil {
				require.ErrorIs(t, err, c.want)
			}
			require.ErrorContains(t, err, c.text)
			require.NotContains(t, err.Error(), "\n", "one line")
			models, err := records.ListModels(t.Context())
			require.NoError(t, err)
			require.Empty(t, models)
			require.NoError(t, blobs.Each(t.Context(), func(address string, _ int64) error {
				return fmt.Errorf("blob %s was left", address)
			}))
		})
	}
}

func TestBrokenUploadIsNoModel(t *testing.T) {
	r, _, _ := open(t)
	_, err := r.Add(t.Context(), New{Name: "cut"}, iotest.TimeoutReader(strings.NewReader(strings.Repeat("x", 1<<20))))
	require.ErrorContains(t, err, "read model")
}

// TestMemoryDoesNotGrowWithTheFile adds a file of 256 MiB that is tried in another
// process, which reads it and says that it is none.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	r, _, _ := open(t)
	r.Isolate(func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", "-c", `cat >/dev/null; echo '{"error":"no model"}'`)
	})
	const size = 256 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := r.Add(t.Context(), New{Name: "large"}, io.LimitReader(zeros{}, size))
	runtime.ReadMemStats(&after)
	require.EqualError(t, err, "no model", "it was read to its end")
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(size/16), "bytes allocated in all")
}

// zeros is a file without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestProviderThatDoesNotWork opens a model on a provider that this library does not
// have: it runs all the same, and everybody is told.
func TestProviderThatDoesNotWork(t *testing.T) {
	r, _, _ := open(t)
	v, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(detecttest.Bright(t)))
	require.NoError(t, err)
	for _, c := range []struct {
		order    []ort.Provider
		degraded bool
		refused  []string
	}{
		{[]ort.Provider{ort.CUDA}, true, []string{"cuda: "}},
		{[]ort.Provider{ort.TensorRT, ort.OpenVINO}, true, []string{"tensorrt: ", "openvino: "}},
		{[]ort.Provider{ort.CPU}, false, nil},
		{nil, false, []string{"cuda: ", "openvino: "}},
	} {
		var told []pipeline.Running
		r.Use(provider.Choice{Order: c.order}, func(s pipeline.Running) { told = append(told, s) })
		d, err := r.Load(t.Context(), v)
		require.NoError(t, err)
		list := r.Running()
		require.Len(t, list, 1)
		got := list[0]
		require.Equal(t, "bright", got.Model)
		require.Equal(t, 1, got.Version)
		require.Equal(t, "cpu", got.Provider)
		require.Equal(t, c.degraded, got.Degraded)
		require.Len(t, got.Refused, len(c.refused))
		for i, want := range c.refused {
			require.Contains(t, got.Refused[i], want)
			require.Contains(t, got.Refused[i], "built without it")
		}
		if c.degraded {
			require.Equal(t, []pipeline.Running{got}, told)
			require.Contains(t, got.Reason, string(c.order[0])+" does not work here")
		} else {
			require.Empty(t, told)
		}
		require.NoError(t, d.Close())
		require.Empty(t, r.Running())
	}
}

// TestLostFileComesBack: the same file again heals a version whose file is gone or
// damaged.
func TestLostFileComesBack(t *testing.T) {
	r, records, blobs := open(t)
	file := detecttest.Bright(t)
	v, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.NoError(t, err)
	require.NoError(t, blobs.Delete(t.Context(), v.SHA256))
	_, err = r.Load(t.Context(), v)
	require.ErrorIs(t, err, store.ErrNotFound)

	again, err := r.Add(t.Context(), New{Name: "bright"}, bytes.NewReader(file))
	require.ErrorIs(t, err, store.ErrExists)
	require.Equal(t, v, again, "it is the same version")
	d, err := r.Load(t.Context(), v)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	models, err := records.ListModels(t.Context())
	require.NoError(t, err)
	require.Len(t, models[0].Versions, 1)
}
