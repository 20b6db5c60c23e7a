package sqlite

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// BenchmarkRegistry reports the 95th percentile of reads in a registry of 10,000
// versions: 100 models with 100 versions each.
func BenchmarkRegistry(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	contract := []byte(`{"labels":["` + strings.Repeat("label\",\"", 79) + `last"]}`)
	tx, err := s.w.BeginTx(b.Context(), nil)
	require.NoError(b, err)
	for m := range 100 {
		name := fmt.Sprintf("model-%02d", m)
		_, err := tx.Exec(`INSERT INTO models (name, description, last_version, created_us, label) VALUES (?1, '', 100, 1, ?1)`, name) //nolint:noctx // a benchmark
		require.NoError(b, err)
		for v := range 100 {
			_, err := tx.Exec(`INSERT INTO model_versions (model, version, sha256, size, family, licence, source, contract, created_us, updated_us) VALUES (?, ?, ?, 1, 'yolov8', 'MIT', '', ?, 1, ?)`, //nolint:noctx // a benchmark
				name, v+1, fmt.Sprintf("%d-%d", m, v), string(contract), 100*m+v)
			require.NoError(b, err)
		}
	}
	require.NoError(b, tx.Commit())
	for m := range 100 {
		require.NoError(b, s.SetAlias(b.Context(), fmt.Sprintf("model-%02d", m), "champion", 50, 0, store.Author{}))
	}
	for name, read := range map[string]func() error{
		"list 100 models": func() error {
			_, err := s.SearchModels(b.Context(), store.Search{Limit: 100})
			return err
		},
		"list 100 versions, newest first": func() error {
			_, err := s.SearchVersions(b.Context(), store.Search{Order: []store.Order{{Field: "updated", Desc: true}}, Limit: 100})
			return err
		},
		"search models by a word": func() error {
			_, err := s.SearchModels(b.Context(), store.Search{Terms: []store.Term{{Field: "text", Op: "ILIKE", Value: "%el-42%"}}, Limit: 100})
			return err
		},
		"search versions of a model": func() error {
			_, err := s.SearchVersions(b.Context(), store.Search{Terms: []store.Term{{Field: "name", Op: "=", Value: "model-42"}}, Limit: 100})
			return err
		},
		"look an alias up": func() error {
			_, err := s.AliasVersion(b.Context(), "model-42", "champion")
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				begin := time.Now()
				require.NoError(b, read())
				took = append(took, time.Since(begin))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "ms-p95")
		})
	}
}
