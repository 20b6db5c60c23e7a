package mlflow

import (
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func known() names {
	return names{"name": "label", "tag.": "tag", "metric.": "metric", "run_id": "run"}
}

func TestFilter(t *testing.T) {
	for text, want := range map[string][]store.Term{
		"":                                        nil,
		"name = 'x'":                              {{Field: "label", Op: "=", Value: "x"}},
		"name='it''s'":                            nil,
		`name LIKE "%x%"`:                         {{Field: "label", Op: "LIKE", Value: "%x%"}},
		"name ilike 'a' AND name != 'b'":          {{Field: "label", Op: "ILIKE", Value: "a"}, {Field: "label", Op: "!=", Value: "b"}},
		"tags.k = 'v' and tag.`a b`>'c'":          {{Field: "tag", Key: "k", Op: "=", Value: "v"}, {Field: "tag", Key: "a b", Op: ">", Value: "c"}},
		"metrics.\"val/ap\" >= 0.5":               {{Field: "metric", Key: "val/ap", Op: ">=", Value: 0.5}},
		"metrics.loss < -1e-3":                    {{Field: "metric", Key: "loss", Op: "<", Value: -1e-3}},
		"run_id IN ('a', 'b')":                    {{Field: "run", Op: "IN", Value: []string{"a", "b"}}},
		"attributes.run_id NOT  IN ('a')":         {{Field: "run", Op: "NOT IN", Value: []string{"a"}}},
		"tag.`mlflow.prompt.is_prompt` != 'true'": nil,
		`name = 'a AND b\'s'`:                     {{Field: "label", Op: "=", Value: "a AND b's"}},
	} {
		got, err := known().filter(text)
		if text == "name='it''s'" {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"name", "name =", "name = x", "other = 'x'", "name = 'x' OR name = 'y'", "name = 'x' AND", "name IN 'x'", "name = ('x')", "name = 'x", "'x' = name", "name = 'x'; DROP TABLE models"} {
		_, err := known().filter(text)
		require.Error(t, err, text)
	}
	order, err := known().order([]string{"name", "tags.k DESC", "metrics.loss asc"})
	require.NoError(t, err)
	require.Equal(t, []store.Order{{Field: "label"}, {Field: "tag", Key: "k", Desc: true}, {Field: "metric", Key: "loss"}}, order)
	_, err = known().order([]string{"other"})
	require.Error(t, err)
}

func FuzzFilter(f *testing.F) {
	f.Add("name = 'x' AND tags.k LIKE '%v'")
	f.Fuzz(func(_ *testing.T, text string) {
		_, _ = known().filter(text)
		_, _ = known().order([]string{text})
	})
}
