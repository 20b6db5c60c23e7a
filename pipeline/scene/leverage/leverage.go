// Package leverage measures what is lost when only some frames go through the
// detector (C4 of docs/performance.md): tracker and annotator fill in the others,
// and the annotations of all frames are held against the truth of simulated
// scenes, next to those of a run that detects in every frame.
package leverage

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"detectd/detect"
	"detectd/detect/mot"
	"detectd/pipeline/frame"
	"detectd/pipeline/scene"
	"detectd/pipeline/stage/annotate"
	"detectd/pipeline/stage/track"
	"detectd/store"
)

// Config says how a scene is run.
type Config struct {
	Hz    float64       // detections per second; 0 detects in every frame
	Delay time.Duration // from a frame to its detections
	Noise scene.Noise
	Pace  Pace // chooses the rate from moment to moment instead of Hz; nil: Hz
}

// Pace chooses how often a camera is looked at by what was found.
type Pace interface {
	// Rate is how many detections per second are wanted at pts.
	Rate(pts time.Duration) float64
	// Answered brings what was found at pts.
	Answered(pts time.Duration, dets []detect.Detection)
}

// leastVisible is the share of an object that must be visible to be asked for.
// Boxes on objects that can be seen less count neither way, as in MOTChallenge.
const leastVisible = 0.3

// Run plays a scene through the tracker and the annotator and returns what is in
// every frame and what the annotations say. Only boxes with a track count: those
// are the objects that people are shown.
func Run(s *scene.Scene, c Config) []mot.Frame {
	frames := make([]mot.Frame, s.Frames())
	hidden := make([][]mot.Object, s.Frames())
	for i := range frames {
		for _, o := range s.Truth(i) {
			t := mot.Object{ID: o.ID, Class: o.Label, Box: mot.BoxOf(o.Box)}
			if o.Visible >= leastVisible {
				frames[i].Truth = append(frames[i].Truth, t)
			} else {
				hidden[i] = append(hidden[i], t)
			}
		}
	}
	n := 0
	tracker := track.New(track.Config{}, func() string { n++; return strconv.Itoa(n) })
	play(s, c, annotate.New(annotate.Config{}, tracker, sink(func(a store.Annotation) {
		i := int(a.Frame - 1) //nolint:gosec // counts from 1
		frames[i].Found = found(a, frames[i].Truth, hidden[i])
	})))
	return frames
}

// found are the tracked boxes of an annotation without those that lie on
// something hidden and on nothing that can be seen.
func found(a store.Annotation, truth, hidden []mot.Object) (objects []mot.Object) {
	for _, o := range a.Objects {
		f := mot.Object{ID: o.TrackID, Class: o.Label}
		for k, v := range o.Box {
			f.Box[k] = float64(v)
		}
		if o.TrackID == "" || on(f, hidden) && !on(f, truth) {
			continue
		}
		objects = append(objects, f)
	}
	return objects
}

func on(f mot.Object, objects []mot.Object) bool {
	for _, o := range objects {
		if o.Class == f.Class && mot.IoU(o.Box, f.Box) >= mot.Threshold {
			return true
		}
	}
	return false
}

// play hands the frames of a scene to an annotator as a camera's worker does:
// frames are chosen by time, and results come late.
func play(s *scene.Scene, c Config, a *annotate.Annotator) {
	type result struct {
		meta frame.Meta
		dets []detect.Detection
	}
	var queue []result
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var due time.Duration
	for i := range s.Frames() {
		pts := s.Time(i)
		meta := frame.Meta{CameraID: s.Name, Seq: uint64(i + 1), PTS: pts, Time: start.Add(pts)} //nolint:gosec // counts from 1
		a.Frame(meta, s.Width, s.Height)
		hz := c.Hz
		if c.Pace != nil {
			hz = c.Pace.Rate(pts)
		}
		if hz <= 0 || pts >= due {
			if hz > 0 {
				period := time.Duration(float64(time.Second) / hz)
				if due += period; due <= pts {
					due = pts + period
				}
			}
			a.Selected(meta.Seq)
			queue = append(queue, result{meta, s.Detect(i, c.Noise)})
		}
		for len(queue) > 0 && pts-queue[0].meta.PTS >= c.Delay {
			if c.Pace != nil {
				c.Pace.Answered(queue[0].meta.PTS, queue[0].dets)
			}
			a.Detected(queue[0].meta, queue[0].dets, "scene", 1)
			queue = queue[1:]
		}
	}
	for _, r := range queue {
		a.Detected(r.meta, r.dets, "scene", 1)
	}
	a.Flush()
}

// sink passes annotations on one by one.
type sink func(store.Annotation)

// Annotations implements annotate.Out.
func (s sink) Annotations(as []store.Annotation) {
	for _, a := range as {
		s(a)
	}
}

// Track implements annotate.Out.
func (sink) Track(store.Track) {}

// Row is one scene, or all of them combined (Scene "all"), at one rate.
type Row struct {
	Scene string
	Hz    float64 // 0: every frame
	mot.Result
	// HOTARetained and F1Retained are the scores as shares of those of the run
	// that detects in every frame.
	HOTARetained, F1Retained float64
}

// Measure runs the scenes in every frame and at the given rates.
func Measure(scenes []*scene.Scene, noise scene.Noise, rates ...float64) ([]Row, error) {
	var rows []Row
	base := map[string]mot.Result{}
	for _, hz := range append([]float64{0}, rates...) {
		var all []mot.Result
		add := func(name string, r mot.Result) {
			if hz == 0 {
				base[name] = r
			}
			rows = append(rows, Row{
				Scene: name, Hz: hz, Result: r,
				HOTARetained: r.HOTA / math.Max(1e-9, base[name].HOTA), F1Retained: r.F1 / math.Max(1e-9, base[name].F1),
			})
		}
		for _, s := range scenes {
			r, err := mot.Evaluate(Run(s, Config{Hz: hz, Delay: 80 * time.Millisecond, Noise: noise}))
			if err != nil {
				return nil, fmt.Errorf("score scene %s at %g Hz: %w", s.Name, hz, err)
			}
			add(s.Name, r)
			all = append(all, r)
		}
		add("all", mot.Combine(all...))
	}
	return rows, nil
}

// Table shows rows to people.
func Table(rows []Row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-10s %5s %6s %6s %6s %6s %6s %6s %5s %8s %8s\n",
		"scene", "Hz", "HOTA", "DetA", "AssA", "IDF1", "MOTA", "F1", "IDSW", "HOTA/all", "F1/all")
	for _, r := range rows {
		hz := "every"
		if r.Hz > 0 {
			hz = strconv.FormatFloat(r.Hz, 'g', -1, 64)
		}
		fmt.Fprintf(&b, "%-10s %5s %6.3f %6.3f %6.3f %6.3f %6.3f %6.3f %5d %8.3f %8.3f\n",
			r.Scene, hz, r.HOTA, r.DetA, r.AssA, r.IDF1, r.MOTA, r.F1, r.IDSW, r.HOTARetained, r.F1Retained)
	}
	return b.String()
}
