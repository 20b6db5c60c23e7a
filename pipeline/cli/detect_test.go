package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
)

// TestDetectInACutVideo says that a file ends early, and how much was in it.
func TestDetectInACutVideo(t *testing.T) {
	whole, err := os.ReadFile(detecttest.Artefact(t, "share", "demo.avi"))
	require.NoError(t, err)
	folder := t.TempDir()
	cut, head, network := filepath.Join(folder, "cut.avi"), filepath.Join(folder, "head.avi"), filepath.Join(folder, "bright.onnx")
	require.NoError(t, os.WriteFile(cut, whole[:400_000], 0o600))
	require.NoError(t, os.WriteFile(head, whole[:bytes.Index(whole, []byte("movi"))+4], 0o600))
	require.NoError(t, os.WriteFile(network, detecttest.Bright(t), 0o600))
	library := detecttest.Artefact(t, "onnxruntime", "libonnxruntime.so.1")
	detect := func(path string) (int, string, string) {
		return command(t, "detect", "--json", "--library", library, "--model", network, path)
	}
	code, stdout, stderr := detect(cut)
	require.Zero(t, code, stderr)
	require.Greater(t, strings.Count(stdout, "\n"), 1)
	require.Regexp(t, `^detectd: .*cut.avi: the file ends early, \d+ bytes of it are missing; \d+ pictures of it were looked at\n$`, stderr)

	code, stdout, stderr = detect(head)
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "the file ends early")

	code, _, stderr = detect(detecttest.Artefact(t, "share", "demo.avi"))
	require.Zero(t, code)
	require.Empty(t, stderr)
}
