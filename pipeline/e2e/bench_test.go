package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"detectd/pipeline/simulate"
)

// TestBench: the bench runs and answers in the form that programs read. What it
// measures here says nothing.
func TestBench(t *testing.T) {
	video := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(video, simulate.Spec{Frames: 100}))
	var report struct {
		Machine struct {
			Cores int    `json:"cores"`
			LibAV string `json:"libav"`
		} `json:"machine"`
		Metrics []struct {
			ID      string    `json:"id"`
			Value   float64   `json:"value"`
			Bar     float64   `json:"bar"`
			Pass    *bool     `json:"pass"`
			Samples []float64 `json:"samples"`
		} `json:"metrics"`
	}
	out := succeeds(t, "bench", "--only", "C1", "--rounds", "1", "--measure", "1s", "--cameras", "1", "--json", video)
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.Positive(t, report.Machine.Cores)
	require.NotEmpty(t, report.Machine.LibAV)
	found := false
	for _, m := range report.Metrics {
		require.Len(t, m.Samples, 1, m.ID)
		if m.ID == "C1" {
			found = true
			require.Positive(t, m.Value)
			require.InDelta(t, 1.15, m.Bar, 0)
			require.NotNil(t, m.Pass)
		}
	}
	require.True(t, found)

	e := command(t, "bench", "--only", "C10")
	require.Equal(t, 2, e.Code)
	require.Contains(t, e.Stderr, `no figure "C10"`)
	require.Contains(t, command(t, "bench", "--measure", "1ms").Stderr, "from 1s")
}
