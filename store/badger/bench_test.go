package badger

import (
	"testing"
	"time"

	"detectd/store"
)

// BenchmarkPutAnnotations writes one second of ten cameras at 60 frames per
// second with five objects each, per iteration.
func BenchmarkPutAnnotations(b *testing.B) {
	s, err := Open(b.TempDir(), time.Hour, quiet())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	object := store.Object{TrackID: "camera-1-1234", ClassID: 1, Label: "person", Score: 0.5, Box: store.Box{1, 2, 3, 4}}
	all := make([]store.Annotation, 600)
	for second := 0; b.Loop(); second++ {
		for i := range all {
			frame := uint64(second*60 + i/10)
			all[i] = store.Annotation{
				CameraID: []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}[i%10], Frame: frame, Kind: "detected",
				Time: somewhen(14).Add(time.Duration(frame) * 16667 * time.Microsecond), Width: 1920, Height: 1080,
				Model: "default", Version: 1, Objects: []store.Object{object, object, object, object, object},
			}
		}
		if err := s.PutAnnotations(b.Context(), all); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListDetections reads the newest hundred rows of ten cameras.
func BenchmarkListDetections(b *testing.B) {
	s, err := Open(b.TempDir(), time.Hour, quiet())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := range 600 {
		var all []store.Annotation
		for _, camera := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
			for k := range 10 {
				all = append(all, store.Annotation{
					CameraID: camera, Time: somewhen(14).Add(time.Duration(n*10+k) * 100 * time.Millisecond), Kind: "detected",
					Objects: []store.Object{{Label: "person"}},
				})
			}
		}
		if err := s.PutAnnotations(b.Context(), all); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if _, _, err := s.ListDetections(b.Context(), store.DetectionQuery{}, store.Page{}); err != nil {
			b.Fatal(err)
		}
	}
}
