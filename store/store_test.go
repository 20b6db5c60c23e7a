package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

func TestSecretNeverShows(t *testing.T) {
	const word = "tr0ub4dor"
	camera := store.Camera{ID: "door", Password: word}

	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%08.3f"} {
		require.NotContains(t, fmt.Sprintf(verb, camera.Password), word, verb)
		require.NotContains(t, fmt.Sprintf(verb, camera), word, verb)
		require.NotContains(t, fmt.Sprintf(verb, &camera), word, verb)
	}
	require.NotContains(t, fmt.Sprint(camera.Password, camera), word)
	require.NotContains(t, fmt.Errorf("open %v", camera).Error(), word)

	b, err := json.Marshal(camera)
	require.NoError(t, err)
	require.NotContains(t, string(b), word)
	require.Contains(t, string(b), `"Password":"***"`)

	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("camera", "camera", camera, "password", camera.Password)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("camera", "camera", camera, "password", camera.Password)
	require.NotContains(t, log.String(), word)

	require.Empty(t, store.Secret("").String(), "no password shows as none")
}

func TestRevisionError(t *testing.T) {
	err := fmt.Errorf("update: %w", &store.RevisionError{What: "camera door", Given: 2, Current: 3})
	require.ErrorIs(t, err, store.ErrRevision)
	require.NotErrorIs(t, err, store.ErrNotFound)
	require.EqualError(t, err, "update: camera door is at revision 3, the change was based on 2")
	var re *store.RevisionError
	require.ErrorAs(t, err, &re)
	require.EqualValues(t, 3, re.Current)
}

func TestPageSize(t *testing.T) {
	for limit, want := range map[int]int{-1: 100, 0: 100, 1: 1, 1000: 1000, 1001: 1000, math.MaxInt: 1000} {
		require.Equal(t, want, store.Page{Limit: limit}.Size(), limit)
	}
}

func TestHistogramOneValue(t *testing.T) {
	for _, d := range []time.Duration{
		100 * time.Microsecond, 101 * time.Microsecond, 237 * time.Microsecond, time.Millisecond,
		7 * time.Millisecond, 33333 * time.Microsecond, time.Second, 20 * time.Second, time.Minute,
	} {
		var h store.Histogram
		h.Add(d)
		for _, q := range []float64{0, 0.5, 0.95, 0.99, 1} {
			require.InEpsilon(t, float64(d), float64(h.Quantile(q)), 0.0905+1e-6, "%v at %v", d, q)
		}
	}
}

func TestHistogramExtremes(t *testing.T) {
	var h store.Histogram
	require.Zero(t, h.Quantile(0.5), "nothing counted")
	for _, d := range []time.Duration{-time.Second, 0, math.MaxInt64} {
		h.Add(d)
	}
	require.EqualValues(t, 3, h.Count())
	require.Less(t, h.Quantile(0.5), 100*time.Microsecond)
	require.Greater(t, h.Quantile(1), time.Minute)
}

func TestHistogramQuantilesOfMergedHalves(t *testing.T) {
	// 1 ms … 1000 ms, counted half here and half there, against the exact quantiles.
	var odd, even store.Histogram
	for i := 1; i <= 1000; i++ {
		h := &odd
		if i%2 == 0 {
			h = &even
		}
		h.Add(time.Duration(i) * time.Millisecond)
	}
	odd.Merge(&even)
	require.EqualValues(t, 1000, odd.Count())
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.95: 950 * time.Millisecond, 0.99: 990 * time.Millisecond} {
		require.InEpsilon(t, float64(want), float64(odd.Quantile(q)), 0.0905+1e-6, q)
	}
}
