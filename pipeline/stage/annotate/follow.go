package annotate

import (
	"time"

	"detectd/pipeline/frame"
	"detectd/store"
)

// progressEvery is how often a track that goes on is announced, in stream time.
const progressEvery = time.Second

// live is a track that has not ended.
type live struct {
	store.Track
	announced time.Duration // PTS
}

// follow brings the tracks up to date with the anchor, the frame meta describes.
func (a *Annotator) follow(meta frame.Meta) {
	for i := range a.from.objects {
		o := &a.from.objects[i]
		if o.TrackID == "" {
			continue
		}
		t := a.tracks[o.TrackID]
		if t == nil {
			t = &live{Track: store.Track{ID: o.TrackID, CameraID: meta.CameraID, Start: meta.Time, End: meta.Time}}
			a.tracks[o.TrackID] = t
		}
		t.ClassID, t.Label, t.Model, t.Version = o.ClassID, o.Label, a.from.model, a.from.version
		t.Frames++
		t.Clock, t.TimeError = string(meta.Clock), max(t.TimeError, meta.TimeError)
		if meta.Time.After(t.End) { // a wall clock that was set back must not shorten a track
			t.End = meta.Time
		}
		if o.Score > t.BestScore || t.Frames == 1 {
			t.BestScore, t.BestTime, t.BestBox = o.Score, meta.Time, box(o.Box)
		}
		if t.Frames == 1 || meta.PTS-t.announced >= progressEvery {
			t.announced = meta.PTS
			a.out.Track(t.Track)
		}
	}
	a.finish(a.tracker.Ended(meta.PTS))
}

// finish announces tracks that have ended.
func (a *Annotator) finish(ids []string) {
	for _, id := range ids {
		if t := a.tracks[id]; t != nil {
			delete(a.tracks, id)
			t.Ended = true
			a.out.Track(t.Track)
		}
	}
}
