package eval_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/eval"
)

const (
	images     = `"images":[{"id":7,"file_name":"a.jpg","width":640,"height":480,"license":1}]`
	categories = `"categories":[{"id":3,"name":"car","supercategory":"vehicle"}]`
)

func TestReadDataset(t *testing.T) {
	d, err := eval.ReadDataset(strings.NewReader(`{"info":{"x":[1,{}]},"annotations":[
		{"id":1,"image_id":7,"category_id":3,"bbox":[1,2,3,4.5],"area":9,"iscrowd":1,"segmentation":[[1,2]]},
		{"id":2,"image_id":7,"category_id":3,"bbox":[1,2,3,4.5]}
	],` + images + `,` + categories + `}`))
	require.NoError(t, err)
	require.Equal(t, &eval.Dataset{
		Images:     []eval.Image{{ID: 7, FileName: "a.jpg", Width: 640, Height: 480}},
		Categories: []eval.Category{{ID: 3, Name: "car"}},
		Annotations: []eval.Annotation{
			{ID: 1, ImageID: 7, CategoryID: 3, Box: [4]float64{1, 2, 3, 4.5}, Area: 9, Crowd: true},
			{ID: 2, ImageID: 7, CategoryID: 3, Box: [4]float64{1, 2, 3, 4.5}, Area: 13.5},
		},
	}, d)
}

func TestReadDatasetRefuses(t *testing.T) {
	with := func(annotations string) string {
		return `{` + images + `,` + categories + `,"annotations":[` + annotations + `]}`
	}
	const good = `{"id":1,"image_id":7,"category_id":3,"bbox":[1,2,3,4]}`
	for name, c := range map[string]struct{ text, want string }{
		"nothing":          {``, "cut off"},
		"half":             {with(good)[:100], "cut off"},
		"not JSON":         {`{"images":x}`, "invalid character"},
		"a list":           {`[]`, "the file must begin with {"},
		"images":           {`{"images":{}}`, "images must begin with ["},
		"two files":        {with(good) + `{}`, "something follows"},
		"no images":        {`{` + categories + `}`, "there are no images"},
		"no categories":    {`{` + images + `}`, "there are no categories"},
		"image twice":      {`{"images":[{"id":1},{"id":1}],` + categories + `}`, "images[1]: id 1 is there twice"},
		"image without id": {`{"images":[{"file_name":"x"}],` + categories + `}`, "images[0]: an id is missing"},
		"image's width":    {`{"images":[{"id":1,"width":"x"}],` + categories + `}`, "images[0]: width cannot be a string"},
		"category twice":   {`{` + images + `,"categories":[{"id":1},{"id":1}]}`, "categories[1]: id 1 is there twice"},
		"annotation twice": {with(good + `,` + good), "annotations[1]: id 1 is there twice"},
		"no such image":    {with(strings.Replace(good, `7`, `8`, 1)), "annotations[0]: there is no image 8"},
		"no such category": {with(strings.Replace(good, `3`, `4`, 1)), "annotations[0]: there is no category 4"},
		"several mistakes": {with(good + `,` + good + `,` + good), "(and 1 more)"},
		"no box":           {with(`{"id":1,"image_id":7,"category_id":3}`), "annotations[0]: bbox has 0 numbers"},
		"short box":        {with(strings.Replace(good, `,4]`, `]`, 1)), "bbox has 3 numbers instead of 4"},
		"negative size":    {with(strings.Replace(good, `4]`, `-4]`, 1)), "negative size (3 by -4)"},
		"text id":          {with(strings.Replace(good, `7`, `"7"`, 1)), `an id must be a whole number (got "7")`},
		"crowd":            {with(strings.Replace(good, `{`, `{"iscrowd":2,`, 1)), "iscrowd must be 0 or 1 (got 2)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := eval.ReadDataset(strings.NewReader(c.text))
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "read annotations: ")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestReadResults(t *testing.T) {
	got, err := eval.ReadResults(strings.NewReader(`[{"image_id":1,"category_id":2,"bbox":[1,2,3,4],"score":0.5,"segmentation":[]}]`))
	require.NoError(t, err)
	want := []eval.Result{{ImageID: 1, CategoryID: 2, Box: [4]float64{1, 2, 3, 4}, Score: 0.5}}
	require.Equal(t, want, got)

	text, err := json.Marshal(got)
	require.NoError(t, err)
	got, err = eval.ReadResults(strings.NewReader(string(text)))
	require.NoError(t, err)
	require.Equal(t, want, got)

	for text, want := range map[string]string{
		`{}`: "results must begin with [",
		`[{"category_id":2,"bbox":[1,2,3,4],"score":1}]`:        "results[0]: an id is missing",
		`[{"image_id":1,"category_id":2,"bbox":[1,2,3,4]}]`:     "results[0]: the score is missing",
		`[{"image_id":1,"category_id":2,"bbox":[1],"score":1}]`: "results[0]: bbox has 1 numbers",
		`[1]`:    "results[0]: it cannot be a number",
		`[] []`:  "something follows",
		`[{},`:   "results[0]",
		`[`:      "cut off",
		`[{"im"`: "cut off",
	} {
		_, err := eval.ReadResults(strings.NewReader(text))
		require.ErrorContains(t, err, want, text)
	}
}

func TestMap(t *testing.T) {
	const car = " car"
	m, err := eval.Map([]string{"Person", car, "drone"}, []eval.Category{{ID: 9, Name: "Car"}, {ID: 1, Name: "person"}, {ID: 2, Name: "boat"}})
	require.NoError(t, err)
	require.Equal(t, eval.Mapping{
		IDs: map[string]int64{"Person": 1, car: 9}, Labels: []string{"drone"}, Categories: []string{"boat"},
	}, m)
	_, err = eval.Map(nil, []eval.Category{{ID: 1, Name: "car"}, {ID: 2, Name: "Car"}})
	require.ErrorContains(t, err, "categories 1 and 2 are both called")
}

// Whatever is read can be evaluated, and gives figures from 0 to 1, or -1.
func FuzzRead(f *testing.F) {
	for _, g := range goldens(f) {
		if len(g.Annotations)+len(g.Detections) < 2000 {
			f.Add([]byte(g.Annotations), []byte(g.Detections))
		}
	}
	f.Add([]byte(`{"images":[{"id":1}],"categories":[{"id":1}],"annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[0,0,1e300,1e300]}]}`),
		[]byte(`[{"image_id":1,"category_id":1,"bbox":[0,0,1e300,1e300],"score":-1}]`))
	f.Fuzz(func(t *testing.T, annotations, detections []byte) {
		dataset, err := eval.ReadDataset(strings.NewReader(string(annotations)))
		if err != nil {
			return
		}
		results, err := eval.ReadResults(strings.NewReader(string(detections)))
		if err != nil {
			return
		}
		summary, err := eval.Evaluate(dataset, results)
		if err != nil {
			return
		}
		for i, figure := range summary.Figures() {
			if figure != -1 && !(figure >= 0 && figure <= 1) {
				t.Fatalf("figure %d is %g", i, figure)
			}
		}
	})
}
