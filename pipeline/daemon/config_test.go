package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/config"
)

func TestConfigFileShowsTheDefaults(t *testing.T) {
	data, err := os.ReadFile("../../config.yaml")
	require.NoError(t, err)
	require.NoError(t, config.Complete("config.yaml", data, DefaultConfig()))
}

func TestLoadConfigReportsEverythingAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(file, []byte("listen: 127.0.0.1:99999\ndetct:\n  fps: 5\ndetect:\n  fps: fast\n  workers: -1\n"), 0o600))
	_, err := LoadConfig(file)
	require.Error(t, err)
	for _, want := range []string{":1:", "port \"99999\"", ":2:1: detct", ":5:8: detect.fps", ":6:12: detect.workers"} {
		require.ErrorContains(t, err, want)
	}
	t.Log(err)
}

func TestLoadConfigWithoutFile(t *testing.T) {
	cfg, err := LoadConfig("")
	require.NoError(t, err)
	require.Equal(t, DefaultConfig(), cfg)
	_, err = LoadConfig(filepath.Join(t.TempDir(), "none.yaml"))
	require.ErrorContains(t, err, "none.yaml")
}
