package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/eval"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
	"detectd/pipeline/offline"
	"detectd/render"
	"detectd/render/draw"
)

// demoPictures writes some frames of the demo video as JPEG.
func demoPictures(t *testing.T) string {
	t.Helper()
	rt, err := ort.Open(detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1"))
	require.NoError(t, err)
	d, err := model.Open(rt, detecttest.Bright(t), model.Options{})
	require.NoError(t, err)
	dir, pool, enough := t.TempDir(), &frame.Pool{}, errors.New("enough")
	cfg := offline.Config{Path: detecttest.Artefact(t, "share", "demo.avi"), Every: 20}
	err = offline.File(t.Context(), cfg, d, detect.Options{}, pool, func(f offline.Frame) error {
		if f.Index >= 80 {
			return enough
		}
		p, err := draw.Frame(f.Frame, nil, render.Style{})
		require.NoError(t, err)
		defer p.Close()
		data, err := draw.JPEG(p, 95)
		require.NoError(t, err)
		return os.WriteFile(filepath.Join(dir, fmt.Sprintf("%03d.jpg", f.Index)), data, 0o600)
	})
	require.ErrorIs(t, err, enough)
	require.NoError(t, d.Close())
	require.NoError(t, rt.Close())
	return dir
}

// TestQuantize adds variants of the default model, whose accuracy is what it
// agrees with the model itself on.
func TestQuantize(t *testing.T) {
	defaultBeside(t)
	pictures, data := demoPictures(t), filepath.Join(t.TempDir(), "data")
	quantize := func(args ...string) (int, string, string) {
		return command(t, append([]string{"models", "--data", data, "quantize", "default", "--images", pictures}, args...)...)
	}
	code, stdout, stderr := quantize("--to", "int8", "--calibration", "minmax", "--max-loss", "100", "--pictures", "2", "--json")
	require.Zero(t, code, stderr)
	var got quantized
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.Equal(t, "default@2", got.Model)
	require.False(t, got.Existed)
	require.Equal(t, "default@1", got.Parent)
	require.Equal(t, agreement, got.Truth)
	require.Equal(t, 4, got.Images)
	require.InDelta(t, 1, got.ParentAP, 1e-6, "a model agrees with itself")
	require.Greater(t, got.AP, 0.3)
	require.Less(t, got.Bytes, got.ParentBytes*2/3)
	require.Positive(t, got.Speed)

	code, stdout, _ = command(t, "models", "--data", data, "show", "default@2")
	require.Zero(t, code)
	require.Contains(t, stdout, "from default@1 (sha256 ")
	require.Contains(t, stdout, "2 calibration pictures")
	require.Contains(t, stdout, "self-check")

	code, stdout, stderr = command(t, "models", "--data", data, "quantize", "default@1", "--images", pictures, "--to", "fp16", "--max-loss", "50")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "added default@3: fp16 of default@1\n")
	require.Contains(t, stdout, "agreement, not accuracy")
	code, stdout, stderr = command(t, "models", "--data", data, "quantize", "default@1", "--images", pictures, "--to", "fp16", "--max-loss", "50")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "nothing to add, this is default@3 already: fp16 of default@1\n")

	code, stdout, stderr = command(t, "models", "--data", data, "quantize", "default@1", "--images", pictures,
		"--to", "int8", "--calibration", "mse", "--max-loss", "100", "--held-out", "--json")
	require.Zero(t, code, stderr)
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.True(t, got.HeldOut)
	require.Equal(t, 2, got.Images, "the other two calibrate")
	code, stdout, _ = command(t, "models", "--data", data, "show", got.Model)
	require.Zero(t, code)
	require.Contains(t, stdout, "2 calibration pictures")

	code, stdout, stderr = command(t, "models", "--data", data, "quantize", "default@1", "--images", pictures, "--to", "int8", "--seven-bits", "--max-loss", "0")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "nothing was added")
	code, stdout, _ = command(t, "models", "--data", data, "list")
	require.Zero(t, code)
	require.NotContains(t, stdout, "default@5")

	code, _, stderr = command(t, "models", "--data", data, "quantize", "default@2", "--images", pictures, "--to", "fp16")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "default@2: the model cannot be quantized: it is quantized already (")
	require.Contains(t, stderr, "start from the version with 32-bit floats, default@1\n")
	code, _, stderr = command(t, "models", "--data", data, "quantize", "default@1", "--images", t.TempDir(), "--to", "fp16")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "no picture in this folder")
	code, _, stderr = quantize("--to", "int4")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "int4")
}

// TestModelsCheck looks at the default model with its own contract and a wrong one.
func TestModelsCheck(t *testing.T) {
	defaultBeside(t)
	overlay := filepath.Join(t.TempDir(), "overlay.jpg")
	code, stdout, stderr := command(t, "models", "check", "default", "--save", overlay)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "default: pass\n")
	require.Contains(t, stdout, "person")
	info, err := os.Stat(overlay)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(10_000))

	file := detecttest.Artefact(t, "share", "default.onnx")
	code, stdout, _ = command(t, "models", "check", file, "--contract", "input.scale=1", "--json")
	require.Equal(t, 1, code)
	var r model.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Equal(t, model.Fail, r.Verdict)
	require.Contains(t, r.Faults[0], "input.scale=2/255")

	code, _, stderr = command(t, "models", "check", "default@1", "--contract", "input.scale=1")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "go with an ONNX file")
}

// defaultBeside puts what comes with the program beside the test's own.
func defaultBeside(t *testing.T) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	link := filepath.Join(filepath.Dir(exe), "share")
	err = os.Symlink(filepath.Dir(detecttest.Artefact(t, "share", "default.onnx")), link)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.Remove(link)) })
}

func TestSplit(t *testing.T) {
	first, second := alternate([]string{"a", "b", "c"})
	require.Equal(t, []string{"a", "c"}, first)
	require.Equal(t, []string{"b"}, second)
	d := &eval.Dataset{
		Categories:  []eval.Category{{ID: 1, Name: "car"}},
		Images:      []eval.Image{{ID: 7, FileName: "a"}, {ID: 8, FileName: "./c"}, {ID: 9, FileName: "deep/a"}, {ID: 10, FileName: "b"}},
		Annotations: []eval.Annotation{{ID: 1, ImageID: 7}, {ID: 2, ImageID: 9}, {ID: 3, ImageID: 10}, {ID: 4, ImageID: 8}},
	}
	in, out := split(d, map[string]bool{"a": true, "c": true})
	require.Equal(t, d.Categories, in.Categories)
	require.Equal(t, d.Categories, out.Categories)
	require.Equal(t, []eval.Image{d.Images[0], d.Images[1]}, in.Images)
	require.Equal(t, []eval.Image{d.Images[2], d.Images[3]}, out.Images)
	require.Equal(t, []eval.Annotation{d.Annotations[0], d.Annotations[3]}, in.Annotations)
	require.Equal(t, []eval.Annotation{d.Annotations[1], d.Annotations[2]}, out.Annotations)
}
