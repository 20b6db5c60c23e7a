package eval_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/detect/eval"
)

// golden is a set with the figures that pycocotools gives. packaging/client/golden.py
// writes them.
type golden struct {
	Figures     [12]float64     `json:"figures"`
	Annotations json.RawMessage `json:"annotations"`
	Detections  json.RawMessage `json:"detections"`
}

func (g golden) read(t testing.TB) (*eval.Dataset, []eval.Result) {
	t.Helper()
	dataset, err := eval.ReadDataset(bytes.NewReader(g.Annotations))
	require.NoError(t, err)
	results, err := eval.ReadResults(bytes.NewReader(g.Detections))
	require.NoError(t, err)
	return dataset, results
}

// goldens reads the golden sets by name.
func goldens(t testing.TB) map[string]golden {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 20)
	sets := map[string]golden{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var g golden
		require.NoError(t, json.Unmarshal(text, &g))
		sets[strings.TrimSuffix(filepath.Base(file), ".json")] = g
	}
	return sets
}

func requireFigures(t *testing.T, want, got [12]float64) {
	t.Helper()
	for i := range want {
		require.InDelta(t, want[i], got[i], 1e-9, "figure %d: want %v, got %v", i, want, got)
	}
}

func TestGolden(t *testing.T) {
	for name, g := range goldens(t) {
		t.Run(name, func(t *testing.T) {
			dataset, results := g.read(t)
			summary, err := eval.Evaluate(dataset, results)
			require.NoError(t, err)
			requireFigures(t, g.Figures, summary.Figures())
		})
	}
}

// The order of pictures, of categories and of detections with different scores
// does not matter; nor do many callers.
func TestOrderDoesNotMatter(t *testing.T) {
	for name, g := range goldens(t) {
		if strings.HasPrefix(name, "equal-") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			dataset, results := g.read(t)
			for seed := range uint64(5) {
				rnd := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // a test
				shuffle(rnd, dataset.Images)
				shuffle(rnd, dataset.Categories)
				requireFigures(t, g.Figures, concurrently(t, rnd, dataset, results).Figures())
			}
		})
	}
	dataset, results := goldens(t)["many-detections"].read(t)
	want, err := eval.Evaluate(dataset, results)
	require.NoError(t, err)
	shuffle(rand.New(rand.NewPCG(1, 1)), results) //nolint:gosec // a test
	got, err := eval.Evaluate(dataset, results)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func shuffle[T any](rnd *rand.Rand, list []T) {
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
}

// concurrently adds the pictures in any order, all at the same time.
func concurrently(t *testing.T, rnd *rand.Rand, dataset *eval.Dataset, results []eval.Result) eval.Summary {
	t.Helper()
	e := eval.New(dataset)
	images := slices.Clone(dataset.Images)
	shuffle(rnd, images)
	var wg sync.WaitGroup
	for _, image := range images {
		var found []eval.Result
		for _, r := range results {
			if r.ImageID == image.ID {
				found = append(found, r)
			}
		}
		wg.Go(func() {
			if err := e.Add(image.ID, found); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return e.Summary()
}

// Detections that are the objects themselves have all figures 1, whatever their
// scores; figures without objects are -1.
func TestPerfectDetections(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // a test
		dataset, results := perfect(rnd, 30, 4, 8)
		summary, err := eval.Evaluate(dataset, results)
		require.NoError(t, err)
		for i, figure := range summary.Figures() {
			switch {
			case i == 6: // one detection per picture cannot find them all
				require.Less(t, figure, 1.0)
			case figure != -1:
				require.InDelta(t, 1, figure, 1e-9, "figure %d", i)
			}
		}
		require.InDelta(t, 1, summary.AP, 1e-9)
	}
}

// perfect makes objects of all sizes that do not overlap, and a detection of each.
func perfect(rnd *rand.Rand, images, categories, objects int) (*eval.Dataset, []eval.Result) {
	d := &eval.Dataset{}
	var found []eval.Result
	for c := range categories {
		d.Categories = append(d.Categories, eval.Category{ID: int64(c + 1), Name: string(rune('a' + c))})
	}
	for i := range images {
		d.Images = append(d.Images, eval.Image{ID: int64(i + 1)})
		for n := range objects {
			side := 4 + rnd.Float64()*196
			a := eval.Annotation{
				ID: int64(len(d.Annotations) + 1), ImageID: int64(i + 1), CategoryID: int64(rnd.IntN(categories) + 1),
				Box: [4]float64{float64(n) * 200, rnd.Float64() * 100, side, side * (0.5 + rnd.Float64())},
			}
			a.Area = a.Box[2] * a.Box[3]
			d.Annotations = append(d.Annotations, a)
			found = append(found, eval.Result{ImageID: a.ImageID, CategoryID: a.CategoryID, Box: a.Box, Score: rnd.Float64()})
		}
	}
	return d, found
}

// A detection of nothing lowers no recall, and one of an object that was missed
// raises the figures.
func TestMoreAndFewerDetections(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 3)) //nolint:gosec // a test
	dataset, results := perfect(rnd, 10, 2, 6)
	full, err := eval.Evaluate(dataset, results)
	require.NoError(t, err)
	half, err := eval.Evaluate(dataset, results[:len(results)/2])
	require.NoError(t, err)
	require.Less(t, half.AP, full.AP)
	require.Less(t, half.AR100, full.AR100)

	noise := slices.Clone(results)
	for i := range results {
		r := results[i]
		r.Box[1], r.Score = 5000, 2
		noise = append(noise, r)
	}
	wrong, err := eval.Evaluate(dataset, noise)
	require.NoError(t, err)
	require.Less(t, wrong.AP, full.AP)
	require.Equal(t, full.AR100, wrong.AR100)
}

func TestPerClass(t *testing.T) {
	dataset, results := goldens(t)["empty-classes"].read(t)
	summary, err := eval.Evaluate(dataset, results)
	require.NoError(t, err)
	require.Equal(t, []eval.Class{
		{Label: "class 1", AP: summary.PerClass[0].AP, AP50: summary.PerClass[0].AP50, Instances: 1},
		{Label: "class 2", AP: 0, AP50: 0, Instances: 2},
		{Label: "class 3", AP: -1, AP50: -1},
		{Label: "class 4", AP: -1, AP50: -1},
	}, summary.PerClass)
	require.InDelta(t, 0.5, summary.PerClass[0].AP50, 1e-9)
}

func TestAddRefuses(t *testing.T) {
	dataset, _ := goldens(t)["perfect"].read(t)
	box := [4]float64{1, 1, 2, 2}
	for name, c := range map[string]struct {
		image int64
		found eval.Result
		text  string
	}{
		"unknown image": {99, eval.Result{CategoryID: 1, Box: box}, "image 99 is not in the data set"},
		"score":         {1, eval.Result{CategoryID: 1, Box: box, Score: math.NaN()}, "image 1: the score is not a number"},
		"box":           {1, eval.Result{CategoryID: 1, Box: [4]float64{0, 0, math.Inf(1), 1}}, "not made of numbers"},
		"size":          {1, eval.Result{CategoryID: 1, Box: [4]float64{0, 0, 1, -1}}, "negative size"},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorContains(t, eval.New(dataset).Add(c.image, []eval.Result{c.found}), c.text)
		})
	}
	e := eval.New(dataset)
	require.NoError(t, e.Add(1, []eval.Result{{CategoryID: 77, Box: box}}), "an unknown category is left out")
	require.ErrorContains(t, e.Add(1, nil), "added twice")
}

// The size of COCO's val2017, twice: 10000 pictures, 80 classes, 100 detections each.
func BenchmarkLarge(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 4)) //nolint:gosec // a benchmark
	dataset, results := perfect(rnd, 10_000, 80, 8)
	for i := range results {
		for range 12 {
			r := results[i]
			r.CategoryID = int64(rnd.IntN(80) + 1)
			r.Box[0] += rnd.NormFloat64() * 40
			r.Score = rnd.Float64()
			results = append(results, r)
		}
	}
	for b.Loop() {
		if _, err := eval.Evaluate(dataset, results); err != nil {
			b.Fatal(err)
		}
	}
}
