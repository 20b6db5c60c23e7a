package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModelsOnFullDisk: models are listed when the model that comes with detectd
// does not fit a second time, and a smaller version that does not fit leaves nothing.
func TestModelsOnFullDisk(t *testing.T) {
	defaultBeside(t)
	pictures, disk := demoPictures(t), t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("needs the right to mount a small file system: %v: %s", err, out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", disk).Run()) })
	data := filepath.Join(disk, "data")
	code, _, stderr := command(t, "models", "--data", data, "list")
	require.Zero(t, code, stderr)
	before := filesOf(t, data)

	code, stdout, stderr := command(t, "models", "--data", data, "list")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "default@1")
	require.Contains(t, stderr, "the disk is full")
	code, stdout, stderr = command(t, "models", "--data", data, "quantize", "default", "--to", "fp16", "--images", pictures, "--max-loss", "50")
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "read model: store blob")
	require.Contains(t, stderr, "no space left on device")
	require.Equal(t, before, filesOf(t, data))
	code, stdout, stderr = command(t, "check", "--data", data, "--level", "hash")
	require.Zero(t, code, stdout, stderr)
}

// TestRefusedModelLeavesNothing: its file has been stored by then.
func TestRefusedModelLeavesNothing(t *testing.T) {
	defaultBeside(t)
	dir := t.TempDir()
	data, text := filepath.Join(dir, "data"), filepath.Join(dir, "text.onnx")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	code, _, stderr := command(t, "models", "--data", data, "list")
	require.Zero(t, code, stderr)
	before := filesOf(t, data)
	code, _, stderr = command(t, "models", "--data", data, "add", text)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, text)
	require.Equal(t, before, filesOf(t, data))
}
