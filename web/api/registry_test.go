package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
	"detectd/web/api"
	"detectd/web/api/apitest"
)

// addVersions adds models model-000, model-001 … with n versions each.
func addVersions(t testing.TB, records store.Records, models, n int) {
	t.Helper()
	contract := []byte(`{"family":"ssd","input":{"layout":"nchw","colour":"rgb","resize":"stretch"},"labels":["` + strings.Repeat("label\",\"", 79) + `last"]}`)
	for m := range models {
		name := fmt.Sprintf("model-%05d", m)
		for v := range n {
			_, err := records.AddModelVersion(t.Context(), store.Model{Name: name}, store.ModelVersion{
				Model: name, SHA256: fmt.Sprintf("%d-%d", m, v), Size: 1, Family: "ssd", Licence: "MIT", Contract: contract,
			})
			require.NoError(t, err)
		}
	}
}

// TestManyVersions goes through lists that are longer than an answer.
func TestManyVersions(t *testing.T) {
	f := newFixture(t)
	addVersions(t, f.Records, 3, 104)
	a := f.do("GET", "/models/model-00001", "").want(200)
	require.InDelta(t, 104, a.get("version_count"), 0)
	require.Len(t, a.get("versions"), 100, "the newest come with their model")
	require.InDelta(t, 104, a.get("versions.0.version"), 0)

	require.Len(t, f.do("GET", "/models?query=00001", "").want(200).get("items.0.versions"), 10)

	var seen []any
	for next := ""; ; {
		a := f.do("GET", "/models/model-00001/versions?limit=50&cursor="+next, "").want(200)
		seen = append(seen, a.all("version")...)
		if next, _ = a.get("next").(string); next == "" {
			break
		}
	}
	require.Len(t, seen, 104)
	require.InDelta(t, 1, seen[103], 0)

	var names []any
	for next := ""; ; {
		a := f.do("GET", "/models?limit=1&query=MIT&cursor="+next, "").want(200)
		names = append(names, a.all("name")...)
		if next, _ = a.get("next").(string); next == "" {
			break
		}
	}
	require.Equal(t, []any{"model-00000", "model-00001", "model-00002"}, names)
	f.do("GET", "/models/none/versions", "").want(404)
	f.do("GET", "/models?cursor=*", "").want(422)
	f.do("GET", "/models/model-00001/versions?cursor=eA", "").want(422)
}

// TestModelWithoutVersions is there for those who know its name.
func TestModelWithoutVersions(t *testing.T) {
	f := newFixture(t)
	_, err := f.Records.CreateModel(t.Context(), store.Model{Name: "soon"})
	require.NoError(t, err)
	require.Empty(t, f.do("GET", "/models/soon", "").want(200).get("versions"))
	require.Equal(t, []any{"default"}, f.do("GET", "/models", "").want(200).all("name"))
}

// BenchmarkRegistry reports the 95th percentile of requests to a registry of
// 10,000 versions: of 100 models, and of as many models.
func BenchmarkRegistry(b *testing.B) {
	for _, shape := range []struct{ models, versions int }{{100, 100}, {10000, 1}} {
		records := open(b)
		addVersions(b, records, shape.models, shape.versions)
		require.NoError(b, records.SetAlias(b.Context(), "model-00042", "champion", 1, 0, store.Author{}))
		handler, _ := api.NewTested(apitest.New(b, records).Deps())
		for name, path := range map[string]string{
			"list":   "/models?limit=50",
			"search": "/models?limit=50&query=el-00042",
			"alias":  "/models/model-00042/aliases/champion",
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.models, shape.versions, name), func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					begin := time.Now()
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v1"+path, nil))
					require.Equal(b, 200, w.Code)
					took = append(took, time.Since(begin))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
			})
		}
	}
}
