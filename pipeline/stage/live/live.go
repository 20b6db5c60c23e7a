// Package live serves the video of a camera to browsers as it comes, as HLS with
// fragmented MP4: the coded pictures are packed, never coded again.
//
// Nothing is packed while nobody looks. The playlists carry the capture time
// (EXT-X-PROGRAM-DATE-TIME), by which a page puts boxes on the right pictures.
// Segments are whole: the low-latency variant starts a playlist with gaps, at
// which players wait for ever, and holds requests open, of which a browser has six.
package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/bluenviron/gohlslib/v2"
	"github.com/bluenviron/gohlslib/v2/pkg/codecs"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"

	"detectd/pipeline"
	"detectd/pipeline/frame"
	"detectd/pipeline/matrix"
)

// Index is the name of the file that a player opens first.
const Index = "index.m3u8"

// Errors of Serve. It has written nothing when it returns one.
var (
	// ErrNoHLS is returned for cameras whose video HLS does not know, such as
	// MJPEG: single pictures can be shown instead.
	ErrNoHLS = errors.New("this camera's video cannot be sent as HLS")
	// ErrNotLive is returned while no video comes from the camera.
	ErrNotLive = errors.New("no video comes from this camera")
	// ErrNoFile is returned for names that are not, or no longer, on the playlists.
	ErrNoFile = errors.New("no such file in the live video")
)

const (
	clock        = 90000
	idleTime     = 30 * time.Second // after the last request, packing ends
	waitTime     = 10 * time.Second // that a first request waits for a key frame
	segmentTime  = time.Second      // at least, then up to the next key frame
	segmentBytes = 32 << 20
	// jump is a step in time that a player cannot follow: packing begins anew.
	jump = 2 * time.Second
)

// Live packs the video of one camera while somebody looks. Format and Unit never
// block: what they wait for is bounded work in memory.
type Live struct {
	log        *slog.Logger
	dropped    func(units int) // may be nil
	idle, wait time.Duration

	mu       sync.Mutex // guards what follows, and every writing to and closing of the muxer
	format   pipeline.Format
	known    bool // the format is known
	ended    bool // Run has ended
	failed   bool // packing failed while somebody looked, until it begins anew
	muxer    *gohlslib.Muxer
	track    *gohlslib.Track
	base     time.Duration // PTS of the muxer's first unit
	last     pipeline.Unit
	lastUnit time.Time     // when last arrived
	lastUse  time.Time     // when a viewer last asked or was answered
	asking   int           // requests being answered
	changed  chan struct{} // closed and replaced when a muxer starts or Run ends
}

var _ pipeline.Sink = (*Live)(nil)

// New makes the live video of a camera. It starts nothing. dropped, which may be nil, is
// told of units that could not be packed for somebody who looks; it must not block.
func New(cameraID string, dropped func(units int), log *slog.Logger) *Live {
	return &Live{dropped: dropped, log: log.With("camera", cameraID), idle: idleTime, wait: waitTime, changed: make(chan struct{})}
}

// Run ends packing when nobody looks any more, until ctx ends.
func (l *Live) Run(ctx context.Context) error {
	tick := time.NewTicker(l.idle / 30)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			l.mu.Lock()
			defer l.mu.Unlock()
			l.ended = true
			l.stop("the camera ends")
			l.announce()
			return nil
		case now := <-tick.C:
			l.mu.Lock()
			if now.Sub(l.lastUnit) > l.idle {
				l.stop("no video comes") // and lets go of requests that wait for it
			} else if !l.watched(now) {
				l.stop("nobody looks")
			}
			l.mu.Unlock()
		}
	}
}

// Format implements pipeline.Sink.
func (l *Live) Format(f pipeline.Format) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.format, l.known = f, true
	l.stop("the format changes")
}

// Unit implements pipeline.Sink.
func (l *Live) Unit(u pipeline.Unit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.last
	l.last, l.lastUnit = u, time.Now()
	if l.muxer != nil && jumped(last, u) {
		l.stop("the time jumps")
	}
	watched := l.watched(l.lastUnit)
	if l.muxer == nil && (!u.Key || !watched || !l.start(u)) {
		l.drop(watched && l.failed)
		return
	}
	err := l.write(u)
	if l.failed = err != nil; l.failed {
		l.log.Debug("live video begins anew", "error", err)
		l.stop("a unit cannot be packed")
		l.drop(watched)
	}
}

// drop counts a unit that somebody does not get to see.
func (l *Live) drop(missed bool) {
	if missed && l.dropped != nil {
		l.dropped(1)
	}
}

// jumped tells whether the timeline or the wall clock made a step.
func jumped(last, u pipeline.Unit) bool {
	step := u.DTS - last.DTS
	drift := u.Time.Sub(last.Time) - (u.PTS - last.PTS)
	return step < -jump || step > jump || drift.Abs() > jump
}

func (l *Live) watched(now time.Time) bool {
	return !l.ended && (l.asking > 0 || !l.lastUse.IsZero() && now.Sub(l.lastUse) < l.idle)
}

// start begins packing with u, a key unit.
func (l *Live) start(u pipeline.Unit) bool {
	codec, ok := codecOf(l.format)
	if !ok {
		return false
	}
	track := &gohlslib.Track{Codec: codec, ClockRate: clock}
	m := &gohlslib.Muxer{
		Tracks:             []*gohlslib.Track{track},
		Variant:            gohlslib.MuxerVariantFMP4,
		SegmentMinDuration: segmentTime,
		SegmentMaxSize:     segmentBytes,
		OnEncodeError:      func(err error) { l.log.Debug("live video", "error", err) },
	}
	if err := m.Start(); err != nil {
		l.log.Error("live video cannot be packed", "error", err)
		l.failed = true
		return false
	}
	l.muxer, l.track, l.base = m, track, u.PTS
	l.log.Debug("live video is packed")
	l.announce()
	return true
}

func (l *Live) stop(why string) {
	if l.muxer == nil {
		return
	}
	l.muxer.Close()
	l.muxer, l.track = nil, nil
	l.log.Debug("live video is not packed any more", "why", why)
}

// announce wakes the requests that wait for a muxer.
func (l *Live) announce() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Live) write(u pipeline.Unit) error {
	nals := make([][]byte, 0, len(u.NALs))
	for _, n := range u.NALs {
		if len(n) > 0 { // the muxer looks at the first byte of each
			nals = append(nals, n)
		}
	}
	pts := int64(math.Round((u.PTS - l.base).Seconds() * clock))
	if l.format.Codec == pipeline.H265 {
		return l.muxer.WriteH265(l.track, u.Time, pts, nals)
	}
	return l.muxer.WriteH264(l.track, u.Time, pts, nals)
}

// Serve answers a request for one of the files, Index first. It returns an error
// before it has written anything, and nil otherwise.
func (l *Live) Serve(w http.ResponseWriter, r *http.Request, file string) error {
	l.mu.Lock()
	l.asking++
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		l.asking--
		l.lastUse = time.Now()
		l.mu.Unlock()
	}()
	m, turned, err := l.find(r.Context(), file)
	if err != nil {
		return err
	}
	r = r.Clone(r.Context())
	r.URL.Path = "/" + file
	seen := &watcher{ResponseWriter: w}
	if strings.HasSuffix(file, headSuffix) {
		seen.turned = turned
	}
	m.Handle(seen, r)
	if seen.closed {
		return ErrNotLive
	}
	if !seen.written {
		return ErrNoFile // the muxer is silent about files it does not have
	}
	return nil
}

// find returns the muxer and how its pictures are turned. A request for a playlist
// waits until there is one.
func (l *Live) find(ctx context.Context, file string) (*gohlslib.Muxer, frame.Orientation, error) {
	if strings.ContainsAny(file, `/\`) || file == "" {
		return nil, 0, ErrNoFile
	}
	deadline := time.NewTimer(l.wait)
	defer deadline.Stop()
	for {
		l.mu.Lock()
		m, turned, changed := l.muxer, l.format.Orientation, l.changed
		_, possible := codecOf(l.format)
		known, ended := l.known, l.ended
		l.mu.Unlock()
		switch {
		case ended:
			return nil, 0, ErrNotLive
		case known && !possible:
			return nil, 0, fmt.Errorf("%w: it is %s", ErrNoHLS, l.codec())
		case m != nil:
			return m, turned, nil
		case !strings.HasSuffix(file, ".m3u8"):
			return nil, 0, ErrNoFile
		}
		select {
		case <-changed:
		case <-deadline.C:
			return nil, 0, ErrNotLive
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

func (l *Live) codec() pipeline.Codec {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.format.Codec
}

// codecOf describes the stream to the muxer, which also learns from parameter
// sets that come with the video.
func codecOf(f pipeline.Format) (codecs.Codec, bool) {
	switch f.Codec {
	case pipeline.H264:
		c := &codecs.H264{}
		for _, nal := range f.ParameterSets {
			switch {
			case len(nal) == 0:
			case h264.NALUType(nal[0]&0x1F) == h264.NALUTypeSPS:
				c.SPS = nal
			case h264.NALUType(nal[0]&0x1F) == h264.NALUTypePPS:
				c.PPS = nal
			}
		}
		return c, true
	case pipeline.H265:
		c := &codecs.H265{}
		for _, nal := range f.ParameterSets {
			if len(nal) == 0 {
				continue
			}
			switch h265.NALUType(nal[0] >> 1 & 0x3F) {
			case h265.NALUType_VPS_NUT:
				c.VPS = nal
			case h265.NALUType_SPS_NUT:
				c.SPS = nal
			case h265.NALUType_PPS_NUT:
				c.PPS = nal
			}
		}
		return c, true
	}
	return nil, false
}

// headSuffix is how the name of the file ends that describes the video.
const headSuffix = "_init.mp4"

// watcher notes whether anything was answered, and says in the head of turned video
// how it is turned.
type watcher struct {
	http.ResponseWriter
	turned  frame.Orientation // 0 for other files
	written bool
	closed  bool
}

// WriteHeader implements http.ResponseWriter. Status 500 is how a muxer answers
// requests that waited when it was closed: the camera ended or starts again.
func (w *watcher) WriteHeader(code int) {
	if code == http.StatusInternalServerError && !w.written {
		w.closed = true
		return
	}
	w.written = true
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *watcher) Write(b []byte) (int, error) {
	if w.turned > frame.Upright {
		b = bytes.Clone(b) // the muxer keeps it, and writes it at once
		matrix.Write(b, w.turned)
	}
	w.written = true
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *watcher) Unwrap() http.ResponseWriter { return w.ResponseWriter }
