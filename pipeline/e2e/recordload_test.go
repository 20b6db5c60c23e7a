package e2e

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/pipeline"
	"detectd/pipeline/simulate"
	"detectd/pipeline/source/rtsp"
	"detectd/pipeline/stage/record"
	"detectd/store"
	"detectd/store/sqlite"
)

// counting passes units on and counts their bytes.
type counting struct {
	*record.Recorder
	bytes *atomic.Int64
}

// Unit implements pipeline.Sink.
func (c counting) Unit(u pipeline.Unit) { c.bytes.Add(int64(u.Bytes())); c.Recorder.Unit(u) }

// TestRecordingLoad measures what recording alone costs: 16 cameras of 1080p at
// 4 Mb/s, without decoding. It is a measurement, for a machine that does nothing
// else: DETECTD_MEASURE_RECORDING=120s.
func TestRecordingLoad(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("DETECTD_MEASURE_RECORDING"))
	if err != nil {
		t.Skip("SKIPPED: it measures for minutes: set DETECTD_MEASURE_RECORDING=120s")
	}
	const cameras = 16
	file := filepath.Join(t.TempDir(), "v.mp4")
	require.NoError(t, simulate.Generate(file, simulate.Spec{Width: 1920, Height: 1080, FPS: 25, Frames: 250, GOP: 50, Bitrate: 4_000_000, Padded: true}))
	server := exec.Command(program, "simulate", "--listen", "127.0.0.1:0", file) // a process of its own: its time does not count
	out, err := server.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, server.Start())
	t.Cleanup(func() { _ = server.Process.Signal(syscall.SIGTERM); _ = server.Wait() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan())
	_, rest, ok := strings.Cut(lines.Text(), "rtsp://")
	require.True(t, ok, lines.Text())
	url := "rtsp://" + strings.Fields(rest)[0]

	records, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer records.Close()
	_, err = records.CreateClient(t.Context(), store.Client{ID: "a", Name: "A"})
	require.NoError(t, err)
	root := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var bytes, dropped atomic.Int64
	var wg sync.WaitGroup
	for i := range cameras {
		id := fmt.Sprintf("c%d", i)
		_, err := records.CreateCamera(t.Context(), store.Camera{ID: id, ClientID: "a", Name: id, URL: url, Transport: "tcp", Enabled: true, Record: store.RecordContinuous})
		require.NoError(t, err)
		r, err := record.New(record.Config{Root: root, CameraID: id}, records, slog.New(slog.DiscardHandler), record.Hooks{Dropped: func(n int) { dropped.Add(int64(n)) }})
		require.NoError(t, err)
		source, err := rtsp.New(rtsp.Config{URL: url, Transport: rtsp.TransportTCP})
		require.NoError(t, err)
		wg.Go(func() { _ = r.Run(ctx) })
		wg.Go(func() { _ = source.Run(ctx, counting{r, &bytes}) })
	}
	require.Eventually(t, func() bool { return bytes.Load() > cameras*2_000_000 }, patience, 100*time.Millisecond, "all cameras flow")
	began, cpu, in := time.Now(), cpuTime(t), bytes.Load()
	var rss []int64 // KiB, every second
	handed, stored := procNumber(t, "/proc/self/io", "wchar:"), procNumber(t, "/proc/self/io", "\nwrite_bytes:")
	require.Eventually(t, func() bool { rss = append(rss, residentKiB(t)); return time.Since(began) > length }, 2*length, time.Second)
	seconds := time.Since(began).Seconds()
	used, received := cpuTime(t)-cpu, float64(bytes.Load()-in)
	warm := rss[min(len(rss)/4, 60):] // before, buffers reach their sizes
	first, last := median(warm[:(len(warm)+2)/3]), median(warm[len(warm)*2/3:])
	t.Logf("%d cameras, %.0f s: %.3f cores, %.2f Mb/s a camera, %d units dropped, written/received %.4f (to the kernel), %.4f (to the disk), memory %d -> %d KiB (%+.1f %%), %d at most",
		cameras, seconds, used.Seconds()/seconds, received*8/seconds/cameras/1e6, dropped.Load(),
		float64(procNumber(t, "/proc/self/io", "wchar:")-handed)/received,
		float64(procNumber(t, "/proc/self/io", "\nwrite_bytes:")-stored)/received, first, last, 100*float64(last-first)/float64(first), slices.Max(rss))
	cancel()
	wg.Wait()
	for i := range cameras {
		all, _, err := records.ListSegments(t.Context(), fmt.Sprintf("c%d", i), store.Range{}, store.Page{Limit: 1000})
		require.NoError(t, err)
		require.NotEmpty(t, all)
		l := store.Ledger{From: all[0].Start, Until: all[len(all)-1].End}
		require.Empty(t, store.Unaccounted(l, all, nil), "no gaps")
	}
	require.Zero(t, dropped.Load())
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func residentKiB(t *testing.T) int64 { return procNumber(t, "/proc/self/status", "VmRSS:") }

func procNumber(t *testing.T, file, key string) int64 {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), key)
	require.True(t, ok)
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return n
}
