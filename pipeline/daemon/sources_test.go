package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/store"
	"detectd/web/api"
)

func TestValidateURL(t *testing.T) {
	allowed, secret := t.TempDir(), t.TempDir()
	for _, file := range []string{filepath.Join(allowed, "a.mp4"), filepath.Join(secret, "b.mp4")} {
		require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	}
	require.NoError(t, os.Symlink(filepath.Join(secret, "b.mp4"), filepath.Join(allowed, "link.mp4")))
	s := newSources(SourcesConfig{Folders: []string{allowed}}, slog.New(slog.DiscardHandler))

	got, err := s.ValidateURL("rtsp://admin:s3cret@10.0.0.5/stream")
	require.NoError(t, err)
	require.Equal(t, api.CameraURL{URL: "rtsp://10.0.0.5/stream", Username: "admin", Password: "s3cret"}, got)
	for _, raw := range []string{filepath.Join(allowed, "a.mp4"), "file://" + filepath.Join(allowed, "a.mp4"), "file://" + allowed + "/../" + filepath.Base(allowed) + "/a.mp4"} {
		got, err := s.ValidateURL(raw)
		require.NoError(t, err, raw)
		require.Equal(t, "file://"+filepath.Join(allowed, "a.mp4"), got.URL)
	}

	refusal := ""
	for _, raw := range []string{
		filepath.Join(secret, "b.mp4"), filepath.Join(secret, "none.mp4"), filepath.Join(allowed, "link.mp4"),
		filepath.Join(allowed, "none.mp4"), allowed + "/../" + filepath.Base(secret) + "/b.mp4", "/etc/passwd", allowed,
	} {
		_, err := s.ValidateURL(raw)
		require.ErrorIs(t, err, api.ErrInvalid, raw)
		if refusal == "" {
			refusal = err.Error()
		}
		require.Equal(t, refusal, err.Error(), "the answer tells nothing about the disk")
	}
	for _, raw := range []string{"", "http://admin:s3cret@x/", "rtsp://", "rtsp://admin:s3cret@/x", "file://elsewhere/a.mp4", "exec:ls", "rtsp://[::1"} {
		_, err := s.ValidateURL(raw)
		require.ErrorIs(t, err, api.ErrInvalid, raw)
		require.NotContains(t, err.Error(), "s3cret")
	}
}

func TestFromCommandLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Front Door.mp4")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	s := newSources(SourcesConfig{}, slog.New(slog.DiscardHandler))
	c, err := s.fromCommandLine(file)
	require.NoError(t, err)
	require.Equal(t, "Front Door", c.Name)
	require.True(t, c.Loop)
	_, err = s.ValidateURL(c.URL)
	require.NoError(t, err, "a file named on the command line may be edited on the page")

	c, err = s.fromCommandLine("rtsp://u:p@10.0.0.5:8554/ch1")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.5/ch1", c.Name)
	require.Equal(t, store.Secret("p"), c.Password)

	for _, bad := range []string{file + ".none", filepath.Dir(file), "ftp://x/y"} {
		_, err := s.fromCommandLine(bad)
		require.Error(t, err, bad)
	}
}

func TestOpenUnknownScheme(t *testing.T) {
	s := newSources(SourcesConfig{}, slog.New(slog.DiscardHandler))
	_, err := s.Open(store.Camera{ID: "x", URL: "gopher://x/y"})
	state, reason := pipeline.StateOf(err)
	require.Equal(t, pipeline.StateBadURL, state)
	require.Contains(t, reason, "gopher://")
}
