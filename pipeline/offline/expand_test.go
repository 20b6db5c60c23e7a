package offline_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/offline"
)

func TestExpand(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.MP4", "a.jpg", "sub/c.png", "notes.txt"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, nil, 0o600))
	}
	link, empty := filepath.Join(t.TempDir(), "link"), t.TempDir()
	require.NoError(t, os.Symlink(dir, link))
	in := func(dir string) []string {
		return []string{filepath.Join(dir, "a.jpg"), filepath.Join(dir, "b.MP4"), filepath.Join(dir, "sub", "c.png")}
	}
	for name, tc := range map[string]struct {
		args, want []string
		text       string
	}{
		"folder":         {args: []string{dir}, want: in(dir)},
		"folder and /":   {args: []string{dir + "/"}, want: in(dir)},
		"link to folder": {args: []string{link}, want: in(link)},
		"file":           {args: []string{filepath.Join(dir, "notes.txt")}, want: []string{filepath.Join(dir, "notes.txt")}},
		"url first":      {args: []string{"rtsp://127.0.0.1/x", dir}, want: append([]string{"rtsp://127.0.0.1/x"}, in(dir)...)},
		"missing":        {args: []string{filepath.Join(dir, "none")}, text: "no such file"},
		"empty folder":   {args: []string{empty}, text: "no pictures or videos"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := offline.Expand(tc.args)
			if tc.text != "" {
				require.ErrorContains(t, err, tc.text)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}
