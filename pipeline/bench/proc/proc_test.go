package proc

import (
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	line := "4242 (a) b (c)) S 17 4242 4242 0 -1 4194560 9 0 0 0 150 75 0 0 20 0 9 0 100 1000000 256 1844 1 1 0"
	s, err := parseStat([]byte(line))
	require.NoError(t, err)
	require.Equal(t, 17, s.parent)
	require.Equal(t, 2250*time.Millisecond, s.CPU)
	require.Equal(t, 256*int64(os.Getpagesize()), s.RSS)

	for _, bad := range []string{"", "1 name S 2", "1 (n) S 2 3", "1 (n) S x 4242 4242 0 -1 0 9 0 0 0 1 7 0 0 20 0 9 0 100 10 256 1"} {
		_, err := parseStat([]byte(bad))
		require.Error(t, err, "%q", bad)
	}
}

func TestOwnUsage(t *testing.T) {
	u, err := Of(os.Getpid())
	require.NoError(t, err)
	require.Greater(t, u.RSS, int64(1<<20))
	family, err := OfFamily(os.Getpid())
	require.NoError(t, err)
	require.GreaterOrEqual(t, family.RSS+family.RSS/2, u.RSS)
	_, err = Of(1 << 30)
	require.ErrorContains(t, err, "read what a process uses")
}

func TestMachine(t *testing.T) {
	m := ThisMachine()
	require.Equal(t, runtime.GOMAXPROCS(0), m.Cores)
	require.NotEmpty(t, m.Kernel)
	require.Greater(t, m.MemoryBytes, int64(64<<20))
	require.Greater(t, m.MemoryBytes, FreeMemory())
	require.Equal(t, "AMD EPYC", field([]byte("processor\t: 0\nmodel name\t: AMD EPYC\n"), "model name"))
	require.Empty(t, field([]byte("nonsense"), "model name"))
	require.Equal(t, int64(2<<20), kilobytes("2048 kB"))
	require.Zero(t, kilobytes("many"))
}

// A process that is started on one core sees one, and this one keeps its own.
func TestOnCores(t *testing.T) {
	var before, within, others, after unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &before))
	require.NoError(t, onCores(1, func() error { return unix.SchedGetaffinity(0, &within) }))
	require.NoError(t, onCores(-1, func() error { return unix.SchedGetaffinity(0, &others) }))
	require.NoError(t, unix.SchedGetaffinity(0, &after))
	require.Equal(t, 1, within.Count())
	if before.Count() > 1 {
		require.Equal(t, before.Count()-1, others.Count())
		for cpu := range 64 * len(before) {
			require.False(t, within.IsSet(cpu) && others.IsSet(cpu), cpu)
		}
	}
	require.Equal(t, before, after)
	require.Equal(t, "why", lastLine("one\ntwo\nwhy\n"))
}
