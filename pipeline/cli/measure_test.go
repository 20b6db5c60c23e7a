package cli

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/detecttest"
	"detectd/store"
	"detectd/store/blob"
	"detectd/store/folder"
	"detectd/store/sqlite"
)

// brightSet is a folder with pictures of one bright figure each, and a data folder
// with the model bright@1, which finds them all.
func brightSet(t *testing.T) (dir, data string) {
	t.Helper()
	defaultBeside(t)
	dir, data = t.TempDir(), t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "images"), 0o700))
	writeFigure(t, filepath.Join(dir, "images", "a.png"), 20, 30, 40, 80, color.White)
	writeFigure(t, filepath.Join(dir, "images", "b.png"), 60, 20, 70, 40, color.White)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "instances.json"), []byte(`{
		"images":[{"id":1,"file_name":"a.png","width":160,"height":128},{"id":2,"file_name":"b.png","width":160,"height":128}],
		"categories":[{"id":1,"name":"person"},{"id":2,"name":"car"}],
		"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[20,30,40,80]},{"id":2,"image_id":2,"category_id":2,"bbox":[60,20,70,40]}]}`), 0o600))
	f, err := folder.Open(data)
	require.NoError(t, err)
	records, err := sqlite.Open(t.Context(), f.DB(), (&env{stderr: os.Stderr}).logger("warn", "text"))
	require.NoError(t, err)
	file := detecttest.Bright(t)
	sha, size := putBlob(t, f, file)
	contract, err := json.Marshal(detecttest.BrightContract())
	require.NoError(t, err)
	_, err = records.AddModelVersion(t.Context(), store.Model{Name: "bright"}, store.ModelVersion{SHA256: sha, Size: size, Family: "yolox", Contract: contract})
	require.NoError(t, err)
	require.NoError(t, records.Close())
	require.NoError(t, f.Close())
	return dir, data
}

// writeFigure paints a rectangle on black.
func writeFigure(t *testing.T, path string, x, y, w, h int, c color.Color) {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 160, 128))
	draw.Draw(img, img.Bounds(), image.Black, image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(x, y, x+w, y+h), image.NewUniform(c), image.Point{}, draw.Src)
	f, err := os.Create(path)
	require.NoError(t, err)
	require.NoError(t, png.Encode(f, img))
	require.NoError(t, f.Close())
}

func putBlob(t *testing.T, f *folder.Folder, data []byte) (sha string, size int64) {
	t.Helper()
	blobs, err := blob.Open(f.BlobsURL())
	require.NoError(t, err)
	sha, size, err = blobs.Put(t.Context(), bytes.NewReader(data))
	require.NoError(t, err)
	require.NoError(t, blobs.Close())
	return sha, size
}

func TestModelsMeasure(t *testing.T) {
	dir, data := brightSet(t)
	code, stdout, stderr := command(t, "models", "--data", data, "measure", "bright@1", "--coco", dir, "--dataset", "figures", "--calls", "5")
	require.Zero(t, code, stderr)
	require.Contains(t, stderr, "self-check of bright@1: ")
	require.Contains(t, stdout, "speed     p50 ")
	require.Contains(t, stdout, " on figures (2 pictures, ")

	_, stdout, _ = command(t, "models", "--data", data, "show", "bright@1")
	require.Regexp(t, `self-check +(pass|unsure|fail).*, made 20`, stdout, "the new version's check, which was stored without one")

	code, stdout, stderr = command(t, "eval", "--data", data, "--model", "bright", "--annotations", filepath.Join(dir, "instances.json"),
		"--images", filepath.Join(dir, "images"), "--store")
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "Average Precision")
	require.Contains(t, stderr, `kept with bright@1 as data set "`+filepath.Base(dir)+`"`)

	code, stdout, _ = command(t, "models", "--data", data, "show", "bright", "--json")
	require.Zero(t, code)
	var shown struct{ Measured []measuredJSON }
	require.NoError(t, json.Unmarshal([]byte(stdout), &shown))
	require.Len(t, shown.Measured, 3)
	require.Equal(t, filepath.Base(dir), shown.Measured[0].Dataset)
	require.Equal(t, "figures", shown.Measured[1].Dataset)
	require.Equal(t, shown.Measured[0].Digest, shown.Measured[1].Digest)
	require.Greater(t, shown.Measured[0].Figures[0], 0.7)
	require.Equal(t, store.Speed, shown.Measured[2].Kind)
	require.Equal(t, 5, shown.Measured[2].Samples)
	require.Equal(t, "cpu", shown.Measured[2].Provider)
	require.Positive(t, shown.Measured[2].P95MS)
	code, stdout, _ = command(t, "models", "--data", data, "show", "bright")
	require.Zero(t, code)
	require.Contains(t, stdout, "AP50 1.000 on figures (2 pictures")
}

func TestModelsMeasureRefuses(t *testing.T) {
	dir, data := brightSet(t)
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"ref":       {[]string{"models", "--data", data, "measure", "Bright"}, 2, "lower-case"},
		"no model":  {[]string{"models", "--data", data, "measure", "dark"}, 1, `model "dark": not found`},
		"calls":     {[]string{"models", "--data", data, "measure", "bright", "--calls", "0"}, 2, "--calls"},
		"no set":    {[]string{"models", "--data", data, "measure", "bright", "--coco", filepath.Join(dir, "images")}, 1, "has 0 JSON files"},
		"file":      {[]string{"eval", "--model", "a.onnx", "--annotations", "a", "--images", dir, "--store"}, 2, "--store needs --model NAME"},
		"no folder": {[]string{"models", "--data", data, "measure", "bright", "--coco", dir + "x"}, 1, "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, stderr := command(t, c.args...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.text)
		})
	}
}
