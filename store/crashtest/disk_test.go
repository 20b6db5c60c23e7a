package crashtest

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPowerCutIsOne: what was synced is there after a cut, and what was not is not,
// else the tests that use the disk would prove nothing.
func TestPowerCutIsOne(t *testing.T) {
	d := NewDisk(t, 1<<20)
	f, err := os.OpenFile(d.Path(), os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("synced"), 10)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	for i := range 100 {
		_, err = f.WriteAt([]byte("cached"), int64(10+(i+1)*Block))
		require.NoError(t, err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	c := d.PowerCut(t, rand.New(rand.NewPCG(1, 1)))
	c.Write(t, path)
	require.NoError(t, f.Close())
	require.Equal(t, 100, c.Cached)
	require.Greater(t, c.Lost, 20)
	require.Less(t, c.Lost, 80)
	left, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, left, 1<<20)
	require.Equal(t, "synced", string(left[10:16]))
	require.Equal(t, 100-c.Lost, strings.Count(string(left), "cached"))
}
