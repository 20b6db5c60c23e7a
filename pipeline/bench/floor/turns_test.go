package floor

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/asticode/go-astiav"
	"golang.org/x/sys/unix"

	"detectd/pipeline/simulate"
)

// BenchmarkTurns measures the CPU time of a picture of 1080p where decoders take turns
// on one thread, each with pictures of its own, so that they push each other out of
// the caches.
func BenchmarkTurns(b *testing.B) {
	const frames = 120
	path := filepath.Join(b.TempDir(), "street.mp4")
	if err := simulate.Generate(path, simulate.Spec{
		Width: 1920, Height: 1080, FPS: 30, GOP: 60, Frames: frames, Bitrate: 4_000_000,
		Scene: &simulate.Scene{Noise: 4, Visits: []simulate.Visit{{From: 0, To: frames, Speed: 4}}},
	}); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var spent time.Duration
			for b.Loop() {
				spent += turns(b, path, n)
			}
			b.ReportMetric(spent.Seconds()*1000/float64(b.N*n*frames), "cpu-ms/picture")
		})
	}
}

// turns decodes the file with n decoders, one unit each at a time.
func turns(b *testing.B, path string, n int) time.Duration {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	must := func(err error) {
		if err != nil {
			b.Fatal(err)
		}
	}
	inputs, decoders := make([]*astiav.FormatContext, n), make([]*astiav.CodecContext, n)
	for i := range n {
		inputs[i] = astiav.AllocFormatContext()
		defer inputs[i].Free()
		must(inputs[i].OpenInput(path, nil, nil))
		defer inputs[i].CloseInput()
		stream, err := findVideo(inputs[i], path)
		must(err)
		decoders[i], err = openDecoder(stream, path, func(*astiav.CodecContext) {})
		must(err)
		defer decoders[i].Free()
	}
	packet, picture := astiav.AllocPacket(), astiav.AllocFrame()
	defer packet.Free()
	defer picture.Free()
	began, err := cpuTime(unix.RUSAGE_THREAD)
	must(err)
	for {
		for i, d := range decoders {
			if inputs[i].ReadFrame(packet) != nil { // all end at once
				ended, err := cpuTime(unix.RUSAGE_THREAD)
				must(err)
				return ended - began
			}
			must(d.SendPacket(packet))
			packet.Unref()
			for d.ReceiveFrame(picture) == nil {
				picture.Unref()
			}
		}
	}
}
