package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBenchConfig(t *testing.T) {
	full, err := benchCommand{Cameras: 4, Hz: 5}.config()
	require.NoError(t, err)
	require.GreaterOrEqual(t, full.Rounds, 5, "medians of at least five")
	require.Equal(t, 5*time.Minute, full.Overload)
	short, err := benchCommand{Cameras: 4, Hz: 5, Short: true}.config()
	require.NoError(t, err)
	require.Less(t, short.Measure, full.Measure)
	own, err := benchCommand{Cameras: 2, Hz: 10, Short: true, Rounds: 7, Measure: time.Minute, Memory: time.Hour, Only: []string{"C1", "capacity"}}.config()
	require.NoError(t, err)
	require.Equal(t, 7, own.Rounds)
	require.Equal(t, time.Minute, own.Measure)
	require.Equal(t, time.Hour, own.Overload)

	for text, c := range map[string]benchCommand{
		"--cameras":         {Hz: 5},
		"--rounds":          {Cameras: 1, Hz: 5, Rounds: -1},
		"--measure":         {Cameras: 1, Hz: 5, Measure: time.Millisecond},
		"--memory":          {Cameras: 1, Hz: 5, Memory: time.Millisecond},
		"--hz":              {Cameras: 1, Hz: 100},
		`no figure "C10"`:   {Cameras: 1, Hz: 5, Only: []string{"C10"}},
		"C1, C2, C3, C4, C": {Cameras: 1, Hz: 5, Only: []string{"c1"}},
	} {
		_, err := c.config()
		require.ErrorContains(t, err, text)
		require.ErrorAs(t, err, &usageError{})
	}
}
