package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/offline"
)

// command runs one command line.
func command(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Main(t.Context(), Process{Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Version: "1.2.3"})
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("lisen: x\ndetect:\n  fps: much\n"), 0o600))
	for name, c := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string // a part of it
	}{
		"nothing":         {nil, 0, "Commands:", ""},
		"help":            {[]string{"--help"}, 0, "simulate", ""},
		"help of command": {[]string{"detect", "--help"}, 0, "one JSON line per frame", ""},
		"version":         {[]string{"version"}, 0, "detectd 1.2.3\n", ""},
		"unknown command": {[]string{"fly"}, 2, "", "fly"},
		"unknown flag":    {[]string{"run", "--fly"}, 2, "", "--fly"},
		"no input":        {[]string{"detect"}, 2, "", "input"},
		"bad score":       {[]string{"detect", "--score", "7", "x.jpg"}, 2, "", "--score is from 0 to 1"},
		"missing file":    {[]string{"detect", "no-such.jpg"}, 1, "", "no-such.jpg"},
		"bad settings":    {[]string{"check-config", bad}, 2, "", ":1:1: lisen"},
		"all faults":      {[]string{"run", "--config", bad}, 2, "", ":3:8: detect.fps"},
		"no settings":     {[]string{"run", "--config", bad + ".none"}, 2, "", "bad.yaml.none"},
		"not loopback":    {[]string{"run", "--listen", "0.0.0.0:0"}, 2, "", "access control does not exist yet"},
		"model name":      {[]string{"models", "show", "../x"}, 2, "", "../x"},
		"bad provider":    {[]string{"detect", "--provider", "gpu", "x.jpg"}, 2, "", "not one of auto"},
		"bad provider 2":  {[]string{"eval", "--provider", "gpu", "--annotations", "x", "--images", "y"}, 2, "", "not one of auto"},
		"no version":      {[]string{"models", "remove", "yolox"}, 2, "", "yolox@1"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, c.args...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stdout, c.stdout)
			require.Contains(t, stderr, c.stderr)
			if c.code == 0 {
				require.Empty(t, stderr)
			} else {
				require.Empty(t, stdout)
			}
		})
	}
}

func TestGoodSettings(t *testing.T) {
	code, stdout, _ := command(t, "check-config", "../../config.yaml")
	require.Zero(t, code)
	require.Contains(t, stdout, "is valid")
}

func TestOpenAPIIsPrinted(t *testing.T) {
	code, stdout, _ := command(t, "openapi")
	require.Zero(t, code)
	require.Contains(t, stdout, `"/api/v1/cameras"`)
}

func TestMaskedInputs(t *testing.T) {
	for in, want := range map[string]string{
		"a.jpg":                   "a.jpg",
		"rtsp://u:s3cret@cam/x":   "rtsp://cam/x",
		"rtsp://u:s3%zz@cam/x":    "rtsp://…",
		"rtsp://u:p@ss@cam/x y/z": "rtsp://cam/x%20y/z",
	} {
		require.Equal(t, want, masked(in))
	}
}

func TestResultsHaveTheirOwnNames(t *testing.T) {
	require.Equal(t, []string{"a", "a-2", "cam", "a-3"}, uniqueNames([]string{"x/a.jpg", "y/a.png", "rtsp://u:p@host/cam", "a.mp4"}))
}

func TestSaveRefusesToWriteOverItsInput(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.jpg")
	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	r := &detectRun{detectCommand: detectCommand{Save: dir}}
	_, err := r.saver(file, "a")
	require.ErrorContains(t, err, "write over it")
	_, err = r.saver(file, "b")
	require.NoError(t, err)
	require.False(t, offline.IsURL(file))
}
