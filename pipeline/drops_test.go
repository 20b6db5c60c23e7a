package pipeline

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDropsAreNamedAsInJSON gives every reason another number.
func TestDropsAreNamedAsInJSON(t *testing.T) {
	var d Drops
	data, err := json.Marshal(d)
	require.NoError(t, err)
	var numbers map[string]uint64
	require.NoError(t, json.Unmarshal(data, &numbers))
	n := uint64(1)
	for reason := range numbers {
		numbers[reason] = n
		n++
	}
	data, err = json.Marshal(numbers)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &d))
	require.Equal(t, numbers, maps.Collect(d.All()))
}
