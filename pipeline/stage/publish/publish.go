// Package publish announces completed frames and tracks on the bus, and reads
// these announcements back into records for those who show them.
package publish

import (
	"detectd/pipeline/bus"
	"detectd/store"
)

// Publisher announces what cameras found. Safe for concurrent use.
type Publisher struct{ bus *bus.Bus }

// New returns a publisher on b.
func New(b *bus.Bus) *Publisher { return &Publisher{bus: b} }

// Annotations announces frames of one camera, in order.
func (p *Publisher) Annotations(as []store.Annotation) {
	if len(as) == 0 {
		return
	}
	m := bus.Frames{CameraID: as[0].CameraID, Frames: make([]bus.Frame, len(as))}
	for i, a := range as {
		f := bus.Frame{
			Time: a.Time, Frame: a.Frame, PTS: a.PTS, Width: a.Width, Height: a.Height, Kind: a.Kind,
			Model: a.Model, Version: a.Version, Clock: a.Clock, TimeError: a.TimeError,
		}
		for _, o := range a.Objects {
			f.Objects = append(f.Objects, bus.Object{
				TrackID: o.TrackID, ClassID: o.ClassID, Label: o.Label, Score: o.Score, Box: o.Box, Kind: o.Kind,
			})
		}
		m.Frames[i] = f
	}
	p.bus.Publish(bus.Subject(bus.Detections, m.CameraID), m)
}

// Track announces a track.
func (p *Publisher) Track(t store.Track) {
	p.bus.Publish(bus.Subject(bus.Tracks, t.CameraID), bus.Track{
		ID: t.ID, CameraID: t.CameraID, ClassID: t.ClassID, Label: t.Label, Start: t.Start, End: t.End,
		Ended: t.Ended, Frames: t.Frames, BestScore: t.BestScore, BestTime: t.BestTime, BestBox: t.BestBox,
		Model: t.Model, Version: t.Version, Clock: t.Clock, TimeError: t.TimeError,
	})
}

// ReadAnnotations is the reverse of Publisher.Annotations.
func ReadAnnotations(m bus.Message) ([]store.Annotation, error) {
	var frames bus.Frames
	if err := m.Decode(&frames); err != nil {
		return nil, err
	}
	out := make([]store.Annotation, len(frames.Frames))
	for i, f := range frames.Frames {
		a := store.Annotation{
			CameraID: frames.CameraID, Time: f.Time, Frame: f.Frame, PTS: f.PTS, Width: f.Width, Height: f.Height,
			Kind: f.Kind, Model: f.Model, Version: f.Version, Clock: f.Clock, TimeError: f.TimeError,
		}
		for _, o := range f.Objects {
			a.Objects = append(a.Objects, store.Object{
				TrackID: o.TrackID, ClassID: o.ClassID, Label: o.Label, Score: o.Score, Box: o.Box, Kind: o.Kind,
			})
		}
		out[i] = a
	}
	return out, nil
}

// ReadTrack is the reverse of Publisher.Track.
func ReadTrack(m bus.Message) (store.Track, error) {
	var t bus.Track
	err := m.Decode(&t)
	return store.Track{
		ID: t.ID, CameraID: t.CameraID, ClassID: t.ClassID, Label: t.Label, Start: t.Start, End: t.End,
		Ended: t.Ended, Frames: t.Frames, BestScore: t.BestScore, BestTime: t.BestTime, BestBox: t.BestBox,
		Model: t.Model, Version: t.Version, Clock: t.Clock, TimeError: t.TimeError,
	}, err
}
