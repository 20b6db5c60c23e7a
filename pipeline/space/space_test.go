package space_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"detectd/pipeline/space"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// disk is a file system of 1000 bytes.
type disk struct {
	free int64
	err  error
}

func (d *disk) usage(string) (space.Usage, error) {
	return space.Usage{Free: d.free, Total: 1000}, d.err
}

func guard(t *testing.T, cfg space.Config, d *disk) (*space.Guard, *[]string) {
	t.Helper()
	var levels []string
	cfg.Folder, cfg.Usage = "x", d.usage
	g, err := space.New(cfg, slog.New(slog.DiscardHandler), func(c space.Change) { levels = append(levels, c.Was.String()+"-"+c.Level.String()) })
	require.NoError(t, err)
	return g, &levels
}

func TestLevelsAndTheWayBack(t *testing.T) {
	d := &disk{free: 500}
	g, levels := guard(t, space.Config{}, d)
	for _, step := range []struct {
		free int64
		want space.Level
	}{
		{100, space.Normal},
		{99, space.Evict},
		{109, space.Evict}, // a tenth more is needed to leave it
		{110, space.Normal},
		{49, space.Refuse},
		{54, space.Refuse},
		{55, space.Evict},
		{19, space.Stop},
		{21, space.Stop},
		{22, space.Refuse},
		{0, space.Stop},
		{1000, space.Normal},
	} {
		d.free = step.free
		g.Look()
		require.Equal(t, step.want, g.Level(), "%d bytes free", step.free)
	}
	require.Equal(t, []string{
		"normal-evict", "evict-normal", "normal-refuse", "refuse-evict", "evict-stop", "stop-refuse", "refuse-stop", "stop-normal",
	}, *levels)
}

func TestWhatMayBeWritten(t *testing.T) {
	d := &disk{free: 500}
	g, _ := guard(t, space.Config{}, d)
	for _, step := range []struct {
		free                      int64
		media, upload, expendable bool
	}{
		{500, true, true, true},
		{99, true, true, true},
		{49, true, false, false},
		{19, false, false, false},
		{500, true, true, true},
	} {
		d.free = step.free
		// Expendable first: it asks the disk by itself.
		require.Equal(t, step.expendable, g.Check(space.Expendable) == nil, "%d bytes free", step.free)
		require.Equal(t, step.upload, g.Check(space.Upload) == nil, "%d bytes free", step.free)
		require.Equal(t, step.media, g.Check(space.Media) == nil, "%d bytes free", step.free)
	}
	require.EqualValues(t, 2, g.State().RefusedUploads)
	require.EqualValues(t, 2, g.State().DroppedWrites)
	d.free = 0
	require.ErrorIs(t, g.Check(space.Expendable), space.ErrFull)
}

func TestLimits(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  space.Config
		want [3]int64
	}{
		"shares":             {space.Config{}, [3]int64{100, 50, 20}},
		"no more than":       {space.Config{Most: 60}, [3]int64{60, 30, 12}},
		"at least":           {space.Config{AtLeast: 300}, [3]int64{300, 50, 20}},
		"both":               {space.Config{Most: 60, AtLeast: 80}, [3]int64{80, 30, 12}},
		"half of it is left": {space.Config{AtLeast: 5000}, [3]int64{500, 50, 20}},
	} {
		g, _ := guard(t, c.cfg, &disk{free: 900})
		require.Equal(t, c.want, g.State().Thresholds, name)
	}
}

func TestMissing(t *testing.T) {
	d := &disk{free: 100}
	g, _ := guard(t, space.Config{}, d)
	require.Zero(t, g.Missing())
	d.free = 90
	require.EqualValues(t, 20, g.Missing(), "up to where the level is left")
	d.free = 110
	require.Zero(t, g.Missing())
}

func TestEvictingWakes(t *testing.T) {
	d := &disk{free: 500}
	g, _ := guard(t, space.Config{}, d)
	require.Empty(t, g.Evicting())
	d.free = 10
	g.Look()
	require.Len(t, g.Evicting(), 1)
}

func TestDiskThatDoesNotAnswer(t *testing.T) {
	d := &disk{free: 10}
	g, _ := guard(t, space.Config{}, d)
	d.err = errors.New("input/output error")
	g.Look()
	require.Equal(t, space.Stop, g.Level(), "what is unknown changes nothing")
	require.Equal(t, "input/output error", g.State().Failing)
}

func TestConfig(t *testing.T) {
	for _, cfg := range []space.Config{{}, {Folder: "x", Evict: 5, Refuse: 10}, {Folder: "x", Refuse: 1, Stop: 2}, {Folder: "x", Evict: 100}} {
		_, err := space.New(cfg, slog.New(slog.DiscardHandler), nil)
		require.Error(t, err)
	}
}

// tmpfs mounts a file system of its own for the test, with options of tmpfs.
func tmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", options, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: this user may not mount a file system of its own: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", "-l", dir).Run()) })
	return dir
}

// TestRealDisk fills a file system to the last byte: the levels follow, the
// reserve makes room for records, and everything comes back.
func TestRealDisk(t *testing.T) {
	dir := tmpfs(t, "size=64m")
	reserve := filepath.Join(dir, "reserve")
	g, err := space.New(space.Config{Folder: dir, Reserve: reserve, Interval: time.Millisecond}, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.Equal(t, space.Normal, g.Level())
	info, err := os.Stat(reserve)
	require.NoError(t, err)
	require.EqualValues(t, 64<<20/100, info.Size())

	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	require.NoError(t, err)
	block := make([]byte, 64<<10)
	seen := []space.Level{space.Normal}
	for {
		if _, err := ballast.Write(block); err != nil {
			break
		}
		g.Look()
		if l := g.Level(); l != seen[len(seen)-1] {
			seen = append(seen, l)
		}
	}
	require.Equal(t, []space.Level{space.Normal, space.Evict, space.Refuse, space.Stop}, seen)
	require.NoFileExists(t, reserve)

	require.NoError(t, ballast.Truncate(60<<20), "space for the reserve, not for more")
	g.Look()
	require.NoFileExists(t, reserve)
	require.NoError(t, ballast.Truncate(0))
	require.NoError(t, ballast.Close())
	g.Look()
	require.Equal(t, space.Normal, g.Level())
	require.FileExists(t, reserve)
}

// TestRecordsHaveTheReserve: what fills the disk at once leaves room for records.
func TestRecordsHaveTheReserve(t *testing.T) {
	dir := tmpfs(t, "size=64m")
	g, err := space.New(space.Config{Folder: dir, Reserve: filepath.Join(dir, "reserve")}, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	fill := func() { _ = os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 64<<20), 0o600) }
	fill()
	record := filepath.Join(dir, "record")
	require.Error(t, os.WriteFile(record, make([]byte, 256<<10), 0o600))
	g.Look()
	require.NoError(t, os.WriteFile(record, make([]byte, 256<<10), 0o600))
}
