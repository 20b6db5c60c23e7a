package offline

import (
	"math"
	"time"

	"detectd/detect"
)

// Record is what was found in one frame, in the JSON that results of uploads
// keep (store.Result.Detections is a list of them) and the API answers with.
type Record struct {
	Frame      int            `json:"frame"`  // counts the file's frames from 0
	PTSMS      float64        `json:"pts_ms"` // position in the file, milliseconds
	Detections []RecordObject `json:"detections"`
}

// RecordObject is one object of a Record.
type RecordObject struct {
	Label   string     `json:"label"`
	ClassID int        `json:"class_id"`
	Score   float64    `json:"score"` // 0..1
	Box     [4]float64 `json:"box"`   // x, y, width, height in pixels
	TrackID string     `json:"track_id,omitempty"`
}

// NewRecord makes the record of a frame. Numbers are rounded to what they mean:
// scores to 0.001, boxes to 0.01 pixels.
func NewRecord(index int, pts time.Duration, objects []detect.Object) Record {
	r := Record{Frame: index, PTSMS: float64(pts.Microseconds()) / 1000, Detections: make([]RecordObject, 0, len(objects))}
	for _, o := range objects {
		b := o.Box
		r.Detections = append(r.Detections, RecordObject{
			Label: o.Label, ClassID: o.ClassID, Score: round(o.Score, 1000), TrackID: o.TrackID,
			Box: [4]float64{round(b.X, 100), round(b.Y, 100), round(b.W, 100), round(b.H, 100)},
		})
	}
	return r
}

func round(v float32, steps float64) float64 { return math.Round(float64(v)*steps) / steps }
