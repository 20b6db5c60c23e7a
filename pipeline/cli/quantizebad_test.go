package cli

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestQuantizeBadInput has the input named, and no version, file or temporary file
// left behind.
func TestQuantizeBadInput(t *testing.T) {
	defaultBeside(t)
	dir := t.TempDir()
	data, good := filepath.Join(dir, "data"), demoPictures(t)
	write := func(content string, name ...string) string {
		path := filepath.Join(append([]string{dir}, name...)...)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	text := write("hello", "texts", "a.txt")
	broken := write("hello", "broken", "a.JPG")
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "folders", "a.jpg"), 0o700))
	names, err := filepath.Glob(filepath.Join(good, "*.jpg"))
	require.NoError(t, err)
	empty, err := json.Marshal(map[string]any{
		"images":      []any{map[string]any{"id": 1, "file_name": filepath.Base(names[0]), "width": 0, "height": 0}},
		"annotations": []any{}, "categories": []any{map[string]any{"id": 1, "name": "person"}},
	})
	require.NoError(t, err)
	unlabelled := write(string(empty), "unlabelled.json")

	code, _, stderr := command(t, "models", "--data", data, "list")
	require.Zero(t, code, stderr)
	before := filesOf(t, data)
	for name, c := range map[string]struct {
		args   []string
		code   int
		stderr string
	}{
		"no folder":          {[]string{"--images", filepath.Join(dir, "none")}, 1, filepath.Join(dir, "none") + ": there is no such folder"},
		"a file":             {[]string{"--images", text}, 1, text + ": this is not a folder"},
		"below a file":       {[]string{"--images", filepath.Join(text, "x")}, 1, "this is not a folder"},
		"no picture":         {[]string{"--images", filepath.Dir(text)}, 1, "no picture in this folder"},
		"a folder like one":  {[]string{"--images", filepath.Join(dir, "folders")}, 1, "no picture in this folder"},
		"unreadable picture": {[]string{"--images", filepath.Dir(broken)}, 1, broken},
		"no annotations":     {[]string{"--images", good, "--annotations", filepath.Join(dir, "no.json")}, 1, "no.json"},
		"nothing annotated":  {[]string{"--images", good, "--annotations", unlabelled}, 1, unlabelled + ": the annotations hold no object"},
		"not a number":       {[]string{"--images", good, "--max-loss", "nan"}, 2, "--max-loss"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, to := range [...]string{"fp16", "int8"} {
				args := append([]string{"models", "--data", data, "quantize", "default", "--to", to}, c.args...)
				code, stdout, stderr := command(t, args...)
				require.Equal(t, c.code, code)
				require.Empty(t, stdout)
				require.Contains(t, stderr, c.stderr)
				require.Equal(t, before, filesOf(t, data))
			}
		})
	}
}

// filesOf lists what is in a data folder besides the database's own.
func filesOf(t *testing.T, data string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Dir(path) != data {
			list = append(list, path)
		}
		return err
	})
	require.NoError(t, err)
	require.NotEmpty(t, list)
	return list
}
