package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/detecttest"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

// BenchmarkProviders measures pictures per second of what the library of
// DETECTD_TEST_LIBRARY has, with one caller and with two.
func BenchmarkProviders(b *testing.B) {
	library := os.Getenv("DETECTD_TEST_LIBRARY")
	if library == "" {
		b.Skip("DETECTD_TEST_LIBRARY names no libonnxruntime with other providers: they are not measured")
	}
	rt, err := ort.Open(library)
	require.NoError(b, err)
	defer func() { require.NoError(b, rt.Close()) }()
	models := map[string][]byte{"default": detecttest.DefaultModel(b)}
	if folder := os.Getenv("DETECTD_TEST_DATA"); folder != "" {
		data, err := os.ReadFile(filepath.Join(folder, "models", "yolox_nano_416_coco.onnx"))
		require.NoError(b, err)
		models["yolox-nano"] = data
	}
	for name, data := range models {
		for _, p := range []ort.Provider{ort.CPU, ort.OpenVINO, ort.CUDA, ort.TensorRT} {
			for _, callers := range []int{1, 2} {
				open := OpenOn(rt, func() ([]byte, error) { return data, nil }, model.Options{}, Choice{Callers: callers})
				d, err := open(p)
				if err != nil {
					b.Logf("%s: %v", p, err)
					continue
				}
				b.Run(fmt.Sprintf("%s/%s/%d", name, p, callers), func(b *testing.B) { run(b, d, callers) })
				require.NoError(b, d.Close())
			}
		}
	}
}

func run(b *testing.B, d detect.Detector, callers int) {
	pool := &frame.Pool{}
	defer pool.Close()
	f, err := picture(pool, 0)
	require.NoError(b, err)
	defer f.Release()
	start, before := time.Now(), cpu(b)
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range b.N {
				if _, err := d.Detect(b.Context(), []*frame.Frame{f}, []detect.Options{{}}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N*callers)/time.Since(start).Seconds(), "pictures/s")
	b.ReportMetric(float64(cpu(b)-before)/float64(time.Millisecond)/float64(b.N*callers), "CPU-ms/picture")
}

// cpu is the time that the process has computed: other programs on the machine do not
// change it much.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	require.NoError(b, unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
