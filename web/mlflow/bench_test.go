package mlflow_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"detectd/store"
)

// BenchmarkRegistry reports the 95th percentile of requests of clients of MLflow to
// a registry of 10,000 versions: of many models, and of one.
func BenchmarkRegistry(b *testing.B) {
	for _, shape := range []struct{ models, versions int }{{10000, 1}, {50, 200}, {1, 10000}} {
		f := newFixture(b)
		contract := []byte(`{"labels":["` + strings.Repeat("label\",\"", 79) + `last"]}`)
		var group errgroup.Group
		group.SetLimit(100)
		for m := range shape.models {
			name := fmt.Sprintf("model-%05d", m)
			for v := range shape.versions {
				group.Go(func() error {
					_, err := f.records.AddModelVersion(b.Context(), store.Model{Name: name}, store.ModelVersion{
						Model: name, SHA256: fmt.Sprintf("%d-%d", m, v), Size: 1, Family: "ssd", Licence: "MIT", Contract: contract,
						RunID: fmt.Sprintf("run-%d-%d", m, v), Tags: map[string]string{"team": fmt.Sprint(v % 7)},
					})
					return err
				})
			}
		}
		require.NoError(b, group.Wait())
		last := fmt.Sprintf("model-%05d", shape.models-1)
		require.NoError(b, f.records.SetAlias(b.Context(), last, "champion", 1, 0, store.Author{}))
		for name, path := range map[string]string{
			"models":            "registered-models/search?max_results=100",
			"models by name":    "registered-models/search?filter=name+ILIKE+'%25" + last + "%25'",
			"versions of model": "model-versions/search?max_results=100&filter=name%3D'" + last + "'",
			"newest versions":   "model-versions/search?max_results=100",
			"versions of run":   "model-versions/search?filter=run_id%3D'run-" + fmt.Sprint(shape.models-1) + "-0'",
			"versions by tag":   "model-versions/search?max_results=100&filter=tags.team%3D'3'",
			"version by alias":  "registered-models/alias?alias=champion&name=" + last,
			"latest version":    "registered-models/get-latest-versions?name=" + last,
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.models, shape.versions, name), func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					begin := time.Now()
					w := f.send("GET", "/api/2.0/mlflow/"+path, "")
					took = append(took, time.Since(begin))
					require.Equal(b, 200, w.Code, w.Body)
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
			})
		}
	}
}
