package badger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// BenchmarkTenMillion stores ten million frames of 16 cameras with two objects
// each on average, and their inferences at a quarter of the rate, and says what
// that costs at 6,000 frames and 1,500 inferences a second; then it asks for a
// page by camera, hour and label. One round takes minutes:
//
//	go test ./store/badger -run '^$' -bench TenMillion -benchtime 1x
//
// DETECTD_BENCH_ANNOTATIONS changes the number of frames.
func BenchmarkTenMillion(b *testing.B) {
	frames := 10_000_000
	if text := os.Getenv("DETECTD_BENCH_ANNOTATIONS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(b, err)
		frames = n
	}
	for b.Loop() {
		s, err := Open(b.TempDir(), 30*24*time.Hour, quiet())
		require.NoError(b, err)
		rate, end := fill(b, s, frames)
		time.Sleep(20 * time.Second) // what ten million at once leave to be compacted, a steady load has not
		b.ReportMetric(rate, "cores/load")
		b.ReportMetric(float64(s.Size())/float64(frames), "B/frame")
		b.ReportMetric(0, "ns/op")
		for _, label := range []string{"person", "bicycle", "bear", "unicorn"} {
			p50, p95, worst := ask(b, s, label, end)
			b.ReportMetric(p50, label+"-p50-ms")
			b.ReportMetric(p95, label+"-p95-ms")
			b.ReportMetric(worst, label+"-worst-ms")
		}
		require.NoError(b, s.Close())
	}
}

const benchCameras, benchFPS = 16, 15

// fill writes the frames in batches as the daemon does, a fifth of a second of all
// cameras at a time, and returns the processors that 6,000 frames a second take.
func fill(b *testing.B, s *Store, frames int) (cores float64, end time.Time) {
	b.Helper()
	chance := rand.New(rand.NewPCG(7, 8))
	start := somewhen(14)
	before := cpuTime(b)
	written := 0
	for n := 0; written < frames; n += 75 { // the batches of five seconds at once
		var as []store.Annotation
		var is []store.Inference
		for c := range benchCameras {
			camera := fmt.Sprintf("camera-%d", c)
			for k := range 75 {
				at := start.Add(time.Duration(n+k) * time.Second / benchFPS)
				as = append(as, store.Annotation{
					CameraID: camera, Time: at, Frame: uint64(n + k), PTS: at.Sub(start), Width: 1920, Height: 1080, Kind: "interpolated",
					Model: "default", Version: 1, Clock: "rtcp", Objects: seen(chance, camera, n+k),
				})
				if k%4 == 0 {
					is = append(is, store.Inference{CameraID: camera, Time: at, Model: "default", Version: 1, Batch: 4, Queued: 3e6, Ran: 4e7, Latency: 5e7, Detections: 2})
				}
			}
		}
		written += len(as)
		end = as[len(as)-1].Time
		require.NoError(b, s.PutAnnotations(b.Context(), as))
		require.NoError(b, s.PutInferences(b.Context(), is))
	}
	return (cpuTime(b) - before).Seconds() * 6000 / float64(written), end
}

// seen makes up what a camera sees: people most of the time, a bicycle now and
// then, a bear in one frame of a hundred thousand.
func seen(chance *rand.Rand, camera string, n int) (all []store.Object) {
	for range chance.IntN(5) {
		label := "person"
		switch v := chance.IntN(200_000); {
		case v == 0:
			label = "bear"
		case v < 2000:
			label = "bicycle"
		case v < 80_000:
			label = "car"
		}
		x, y := chance.Float32()*1800, chance.Float32()*900
		all = append(all, store.Object{
			TrackID: fmt.Sprintf("%s-mtaz3k9q-%d", camera, n/40), Label: label, Score: chance.Float32(), Box: store.Box{x, y, 80.5, 120.25},
		})
	}
	return all
}

// ask takes 64 pages of an hour each, of all cameras.
func ask(b *testing.B, s *Store, label string, end time.Time) (p50, p95, worst float64) {
	b.Helper()
	chance := rand.New(rand.NewPCG(9, 10))
	var took []float64
	for n := range 64 {
		from := end.Add(-time.Duration(1+chance.IntN(max(1, int(end.Sub(somewhen(14)).Hours())))) * time.Hour)
		q := store.DetectionQuery{CameraID: fmt.Sprintf("camera-%d", n%benchCameras), Label: label, Range: store.Range{From: from, To: from.Add(time.Hour)}}
		begin := time.Now()
		_, _, err := s.ListDetections(b.Context(), q, store.Page{Limit: 100})
		took = append(took, float64(time.Since(begin).Microseconds())/1000)
		require.NoError(b, err)
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*95/100], took[len(took)-1]
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
