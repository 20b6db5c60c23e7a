package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"detectd/store"
	"detectd/web/api"
	"detectd/web/api/apitest"
)

// addVersions adds models model-00000, model-00001 … with n versions each, many at a
// time: they share the waits for the disk.
func addVersions(t testing.TB, records store.Records, models, n int) {
	t.Helper()
	contract := []byte(`{"family":"ssd","input":{"layout":"nchw","colour":"rgb","resize":"stretch"},"labels":["` + strings.Repeat("label\",\"", 79) + `last"]}`)
	var group errgroup.Group
	group.SetLimit(100)
	for m := range models {
		name := fmt.Sprintf("model-%05d", m)
		for v := range n {
			group.Go(func() error {
				_, err := records.AddModelVersion(t.Context(), store.Model{Name: name}, store.ModelVersion{
					Model: name, SHA256: fmt.Sprintf("%d-%d", m, v), Size: 1, Family: "ssd", Licence: "MIT", Contract: contract,
				})
				return err
			})
		}
	}
	require.NoError(t, group.Wait())
}

// TestManyVersions goes through lists that are longer than an answer.
func TestManyVersions(t *testing.T) {
	f := newFixture(t)
	addVersions(t, f.Records, 3, 104)
	a := f.do("GET", "/models/model-00001", "").want(200)
	require.InDelta(t, 104, a.get("version_count"), 0)
	require.Len(t, a.get("versions"), 100, "the newest come with their model")
	require.InDelta(t, 104, a.get("versions.0.version"), 0)

	require.Len(t, f.do("GET", "/models?query=00001", "").want(200).get("items.0.versions"), 3)

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
// 10,000 versions, each with accuracy on two data sets and speed, in four shapes.
func BenchmarkRegistry(b *testing.B) {
	for _, shape := range []struct{ models, versions int }{{100, 100}, {10000, 1}, {50, 200}, {1, 10000}} {
		records := open(b)
		addVersions(b, records, shape.models, shape.versions)
		measure(b, records, shape.models, shape.versions)
		last := fmt.Sprintf("model-%05d", shape.models-1)
		require.NoError(b, records.SetAlias(b.Context(), last, "champion", 1, 0, store.Author{}))
		handler, _ := api.NewTested(apitest.New(b, records).Deps())
		for name, path := range map[string]string{
			"list":     "/models?limit=50",
			"search":   "/models?limit=50&query=" + last,
			"words":    "/models?limit=50&query=MIT+ssd+champion",
			"none":     "/models?limit=50&query=nothing",
			"model":    "/models/" + last,
			"versions": "/models/" + last + "/versions?limit=50&cursor=NTAwMA",
			"alias":    "/models/" + last + "/aliases/champion",
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.models, shape.versions, name), func(b *testing.B) {
				var took []time.Duration
				for b.Loop() {
					begin := time.Now()
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/api/v1"+path, nil))
					require.Equal(b, 200, w.Code, w.Body)
					took = append(took, time.Since(begin))
				}
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
			})
		}
	}
}

// measure adds three measurements to each version that addVersions has added.
func measure(b *testing.B, records store.Records, models, n int) {
	b.Helper()
	var group errgroup.Group
	group.SetLimit(100)
	for m := range models {
		for v := range n {
			group.Go(func() error {
				of := store.Measurement{Model: fmt.Sprintf("model-%05d", m), Version: v + 1, Machine: "AMD EPYC, 2 cores", Provider: "cpu", Kind: store.Accuracy, Pictures: 128}
				of.Dataset = "street"
				_, err := records.AddMeasurement(b.Context(), of)
				of.Dataset = "yard"
				_, err2 := records.AddMeasurement(b.Context(), of)
				of.Kind, of.Dataset, of.Samples, of.P50, of.P95 = store.Speed, "", 60, 9*time.Millisecond, 12*time.Millisecond
				_, err3 := records.AddMeasurement(b.Context(), of)
				return errors.Join(err, err2, err3)
			})
		}
	}
	require.NoError(b, group.Wait())
}
