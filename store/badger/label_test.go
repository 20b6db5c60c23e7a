package badger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"detectd/store"
)

// TestLabelsAreFoundAsByLooking asks by camera and label, which takes the index,
// and compares with looking through all that the camera saw.
func TestLabelsAreFoundAsByLooking(t *testing.T) {
	s := openTest(t, t.TempDir(), time.Hour, quiet())
	chance := rand.New(rand.NewPCG(5, 6))
	midnight := time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC)
	for _, camera := range []string{"door", "door2"} {
		for batch := range 40 {
			var all []store.Annotation
			for n := range 20 {
				at := midnight.Add(time.Duration(batch*20+n-400) * 70 * time.Millisecond)
				a := store.Annotation{CameraID: camera, Time: at, Frame: uint64(batch*20 + n), Kind: "detected"}
				for _, label := range []string{"person", "car", "dog", "", "per"} {
					if chance.IntN(12) == 0 {
						a.Objects = append(a.Objects, store.Object{Label: label, TrackID: fmt.Sprint(chance.Int())})
					}
				}
				all = append(all, a)
			}
			if batch%3 == 0 { // frames may come late
				all[0], all[19] = all[19], all[0]
			}
			require.NoError(t, s.PutAnnotations(t.Context(), all))
		}
	}
	read := func(q store.DetectionQuery, limit int) (all []store.DetectionRow) {
		for page := (store.Page{Limit: limit}); ; {
			rows, next, err := s.ListDetections(t.Context(), q, page)
			require.NoError(t, err)
			all = append(all, rows...)
			if page.Cursor = next; next == "" {
				return all
			}
		}
	}
	for _, camera := range []string{"door", "door2"} {
		for _, r := range []store.Range{{}, {From: midnight.Add(-7300 * time.Millisecond), To: midnight.Add(9123 * time.Millisecond)}, {From: midnight.Add(350 * time.Millisecond)}, {To: midnight}} {
			everything := read(store.DetectionQuery{CameraID: camera, Range: r}, 1000)
			for _, label := range []string{"person", "car", "dog", "per", "cat"} {
				var want []store.DetectionRow
				for _, row := range everything {
					if row.Label == label {
						want = append(want, row)
					}
				}
				for _, limit := range []int{1, 7, 1000} {
					require.Equal(t, want, read(store.DetectionQuery{CameraID: camera, Label: label, Range: r}, limit), "%s %s %v", camera, label, r)
				}
			}
		}
	}
	require.NoError(t, s.DropCamera(t.Context(), "door"))
	require.Empty(t, read(store.DetectionQuery{CameraID: "door", Label: "person"}, 100))
	require.NotEmpty(t, read(store.DetectionQuery{CameraID: "door2", Label: "person"}, 100))
	again := []store.Annotation{{CameraID: "door", Time: midnight, Objects: []store.Object{{Label: "person"}}}}
	require.NoError(t, s.PutAnnotations(t.Context(), again))
	require.Len(t, read(store.DetectionQuery{CameraID: "door", Label: "person"}, 100), 1, "what was dropped is not taken for written")
}
