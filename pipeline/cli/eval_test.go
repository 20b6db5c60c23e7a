package cli

import (
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/eval"
)

// golden reads a set of detect/eval and writes its two parts as files.
func golden(t *testing.T, name string) (annotations, detections string, figures [12]float64) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "detect", "eval", "testdata", name+".json"))
	require.NoError(t, err)
	var set struct {
		Figures                 [12]float64
		Annotations, Detections json.RawMessage
	}
	require.NoError(t, json.Unmarshal(text, &set))
	return write(t, "gt.json", string(set.Annotations)), write(t, "dt.json", string(set.Detections)), set.Figures
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestEvalOfDetections(t *testing.T) {
	gt, dt, want := golden(t, "random-1")
	code, stdout, stderr := command(t, "eval", "--annotations", gt, "--detections", dt, "--json")
	require.Zero(t, code, stderr)
	require.Empty(t, stderr)
	require.Equal(t, 1, strings.Count(stdout, "\n"))
	var got evaluation
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	for i, figure := range got.Figures() {
		require.InDelta(t, want[i], figure, 1e-9)
	}
	require.Equal(t, 6, got.Images)
	require.Len(t, got.PerClass, 5)
	require.NotContains(t, stdout, "images_per_second")

	gt, dt, _ = golden(t, "crowd")
	code, stdout, _ = command(t, "eval", "--annotations", gt, "--detections", dt)
	require.Zero(t, code)
	require.Contains(t, stdout, " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.800\n")
	require.Contains(t, stdout, " Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000\n")
	require.Equal(t, 13, strings.Count(stdout, "\n"))

	gt, dt, _ = golden(t, "id-0")
	code, _, stderr = command(t, "eval", "--annotations", gt, "--detections", dt)
	require.Zero(t, code)
	require.Contains(t, stderr, "number them from 1")
}

func TestEvalRefuses(t *testing.T) {
	gt, dt, _ := golden(t, "perfect")
	bad := write(t, "bad.json", `{"images":[{"id":1}],"categories":[],"annotations":[]}`)
	other := write(t, "other.json", `[{"image_id":99,"category_id":1,"bbox":[1,2,3,4],"score":1}]`)
	climbing := write(t, "up.json", `{"images":[{"id":1,"file_name":"../a.jpg"}],"categories":[{"id":1}],"annotations":[]}`)
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"no annotations":    {[]string{"--images", dir}, 2, "--annotations"},
		"no pictures":       {[]string{"--annotations", gt}, 2, "--images DIR is missing"},
		"score":             {[]string{"--annotations", gt, "--images", dir, "--score", "0"}, 2, "--score is above 0"},
		"missing file":      {[]string{"--annotations", gt + "x", "--images", dir}, 1, "gt.jsonx: no such file"},
		"bad file":          {[]string{"--annotations", bad, "--images", dir}, 1, "bad.json: read annotations: there are no categories"},
		"bad detections":    {[]string{"--annotations", gt, "--detections", gt}, 1, "read results: results must begin with ["},
		"other detections":  {[]string{"--annotations", gt, "--detections", other}, 1, "other.json: image 99 is not in the data set"},
		"missing pictures":  {[]string{"--annotations", gt, "--images", dir}, 1, "lacks 2 of the 2 pictures, such as 1.jpg"},
		"no folder":         {[]string{"--annotations", gt, "--images", dt}, 1, "is not a folder"},
		"climbing pictures": {[]string{"--annotations", climbing, "--images", dir}, 1, `"../a.jpg" is not the name`},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, append([]string{"eval"}, c.args...)...)
			require.Equal(t, c.code, code, stderr)
			require.Contains(t, stderr, c.text)
			require.Equal(t, 1, strings.Count(stderr, "\n"))
			require.Empty(t, stdout)
		})
	}
}

// evalSet is a folder with pictures and what to say about them.
type evalSet struct {
	dir, annotations, model string
}

func newEvalSet(t *testing.T, categories string) evalSet {
	t.Helper()
	s := evalSet{dir: t.TempDir(), model: filepath.Join("..", "..", "build", "share", "default.onnx")}
	if _, err := os.Stat(s.model); err != nil {
		t.Fatal("the default model is missing: run make build")
	}
	for i, name := range []string{"a.png", "b.png"} {
		img := image.NewRGBA(image.Rect(0, 0, 200, 160))
		for y := range 160 {
			for x := range 200 {
				c := color.RGBA{R: uint8(x), G: uint8(y), B: uint8(40 * i), A: 255}
				if (x-100)*(x-100)+(y-80)*(y-80) < 50*50 {
					c = color.RGBA{R: 250, G: uint8(200 * i), B: 10, A: 255}
				}
				img.SetRGBA(x, y, c)
			}
		}
		f, err := os.Create(filepath.Join(s.dir, name))
		require.NoError(t, err)
		require.NoError(t, png.Encode(f, img))
		require.NoError(t, f.Close())
	}
	s.annotations = write(t, "gt.json", `{"images":[{"id":5,"file_name":"b.png","width":200,"height":160},
		{"id":2,"file_name":"a.png"}],"annotations":[],"categories":`+categories+`}`)
	return s
}

// What a model has found, taken as the truth, is found by it.
func TestEvalOfAModel(t *testing.T) {
	const categories = `[{"id":13,"name":"Stop Sign"},{"id":37,"name":"sports ball"},{"id":34,"name":"frisbee"},
		{"id":53,"name":"apple"},{"id":55,"name":"orange"},{"id":38,"name":"kite"},{"id":85,"name":"clock"},{"id":99,"name":"drone"}]`
	s := newEvalSet(t, categories)
	file := filepath.Join(s.dir, "found.json")
	args := []string{"eval", "--model", s.model, "--images", s.dir, "--annotations", s.annotations, "--results", file, "--json"}
	code, stdout, stderr := command(t, args...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, `"ap":-1,`)
	require.Contains(t, stderr, "labels of the model that are no category, left out: person, bicycle")
	require.Contains(t, stderr, "categories that the model does not know, never found: drone\n")

	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	found, err := eval.ReadResults(f)
	require.NoError(t, err)
	require.NotEmpty(t, found)
	type annotation struct {
		ID int `json:"id"`
		eval.Result
	}
	var truth []annotation
	for i, r := range found {
		require.Contains(t, []int64{2, 5}, r.ImageID)
		truth = append(truth, annotation{i + 1, r})
	}
	text, err := json.Marshal(truth)
	require.NoError(t, err)
	args[6] = write(t, "own.json", `{"images":[{"id":5,"file_name":"b.png"},{"id":2,"file_name":"a.png"}],
		"annotations":`+string(text)+`,"categories":`+categories+`}`)
	code, stdout, stderr = command(t, args...)
	require.Zero(t, code, stderr)
	var got evaluation
	require.NoError(t, json.Unmarshal([]byte(stdout), &got))
	require.InDelta(t, 1, got.AP, 1e-9)
	require.InDelta(t, 1, got.AR100, 1e-9)
	require.Equal(t, s.model, got.Model)
	require.Equal(t, 2, got.Images)
	require.Positive(t, got.ImagesPerSecond)
}

func TestEvalGoesOnAfterABrokenPicture(t *testing.T) {
	s := newEvalSet(t, `[{"id":1,"name":"person"}]`)
	args := []string{"eval", "--model", s.model, "--images", s.dir, "--annotations", s.annotations}
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "a.png"), []byte("\x89PNG\r\n\x1a\nnot much of a picture"), 0o600))
	code, stdout, stderr := command(t, args...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "a.png: ")
	require.Contains(t, stdout, "Average Precision")

	require.NoError(t, os.Rename(filepath.Join(s.dir, "b.png"), filepath.Join(s.dir, "a.png")))
	args[6] = write(t, "gt.json", `{"images":[{"id":1,"file_name":"a.png","width":160,"height":200}],"categories":[{"id":1,"name":"person"}]}`)
	code, _, stderr = command(t, args...)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "it has 200x160 pixels, in the annotations it has 160x200")
}

func TestEvalNeedsACommonLabel(t *testing.T) {
	s := newEvalSet(t, `[{"id":1,"name":"drone"}]`)
	code, _, stderr := command(t, "eval", "--model", s.model, "--images", s.dir, "--annotations", s.annotations)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "none of the model's labels (person, bicycle")
	require.Contains(t, stderr, "(drone)")
}
