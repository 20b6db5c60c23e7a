package cli

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
)

func TestDoctor(t *testing.T) {
	library := detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1")
	data := filepath.Join(t.TempDir(), "data")
	code, stdout, _ := command(t, "doctor", "--json", "--data", data, "--listen", "127.0.0.1:0", "--library", library)
	var report struct {
		CanRun bool `json:"can_run"`
		Lines  []struct{ Group, Name, Level, Text, Hint string }
	}
	require.NoError(t, json.Unmarshal([]byte(stdout), &report))
	require.Greater(t, len(report.Lines), 15)
	for _, l := range report.Lines {
		// The default model lies beside the program, not beside this test.
		require.Equal(t, l.Name == "model", l.Level == "problem", "%+v", l)
	}
	require.False(t, report.CanRun)
	require.Equal(t, 1, code)

	settings := filepath.Join(t.TempDir(), "config.yaml")
	require.NoError(t, os.WriteFile(settings, []byte("detect:\n  provider: openvino\n  workers: 3\ndata: "+data+"\nruntime:\n  library: "+library+"\n"), 0o600))
	code, stdout, stderr := command(t, "doctor", "--config", settings, "--listen", "127.0.0.1:0")
	require.Equal(t, 1, code)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "openvino    is asked for, but the loaded ONNX Runtime was built without it")
	require.Contains(t, stdout, "3 inferences at the same time")
	require.NoDirExists(t, data)

	code, _, stderr = command(t, "doctor", "--config", settings+".none")
	require.Equal(t, 2, code)
	require.Contains(t, stderr, "config.yaml.none")
}

// TestDetectTells runs a picture on a provider that is not there.
func TestDetectTells(t *testing.T) {
	library := detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1")
	model := detecttest.Artefact(t, "share", "default.onnx")
	picture := filepath.Join(t.TempDir(), "a.png")
	require.NoError(t, os.WriteFile(picture, whitePNG(t), 0o600))
	for name, degraded := range map[string]bool{"auto": false, "cpu": false, "cuda": true, "tensorrt,openvino": true} {
		code, stdout, stderr := command(t, "detect", "--json", "--library", library, "--model", model, "--provider", name, picture)
		require.Zero(t, code, stderr)
		require.Contains(t, stdout, `"frame":0`)
		if degraded {
			require.Contains(t, stderr, "detectd: model default.onnx runs on cpu: ")
			require.Contains(t, stderr, "does not work here")
		} else {
			require.Empty(t, stderr)
		}
	}
}

func whitePNG(t *testing.T) []byte {
	t.Helper()
	var buf bytes.Buffer
	picture := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range picture.Pix {
		picture.Pix[i] = 255
	}
	require.NoError(t, png.Encode(&buf, picture))
	return buf.Bytes()
}
