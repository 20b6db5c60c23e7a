// Package shadow runs models beside the running ones, on a share of the frames that
// these have answered, and counts how the two agree and what the shadow costs.
//
// It never holds up detection: one frame is looked at at a time, on a thread of the
// lowest priority, and only when the detector has a processor to spare; what does
// not fit is skipped and counted. What a shadow finds goes nowhere but into its
// report: it is not tracked, stored or shown.
package shadow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"detectd/detect"
	"detectd/detect/agree"
	"detectd/pipeline/frame"
	"detectd/store"
)

// Open loads a model version on execution providers; "" are those of the settings.
type Open func(ctx context.Context, ref detect.Ref, provider string) (detect.Detector, error)

// Spare calls work at once if the detector has room, and says whether it did.
type Spare func(work func()) bool

// Task is one shadow.
type Task struct {
	ID       string // of the promotion
	Ref      detect.Ref
	Cameras  []string
	Share    float64             // of the answered frames that are looked at, 0 to 1
	Provider string              // execution providers, as in the running model; "": the settings'
	Before   *store.ShadowReport // what it has found before a restart; nil for none
}

// Stage runs the shadows. Safe for concurrent use.
type Stage struct {
	open  Open
	spare Spare
	log   *slog.Logger
	wake  chan struct{} // jobs or tasks have changed

	mu      sync.RWMutex // guards what follows
	shadows map[string]*shadow
	gone    []*shadow // to be closed by Run
}

// shadow is one task at work.
type shadow struct {
	task     Task
	cameras  map[string]bool
	detector detect.Detector // owned by Run's goroutine; nil until loaded
	began    time.Time

	mu     sync.Mutex // guards what follows
	due    float64    // share of frames that are owed a look
	job    *job       // waiting; nil for none
	busy   bool       // one is being looked at
	report store.ShadowReport
}

// job is a frame with what the running model has found in it.
type job struct {
	frame *frame.Frame
	opts  detect.Options
	found []detect.Detection
}

// New returns a stage without tasks. spare nil looks whenever there is a frame.
func New(open Open, spare Spare, log *slog.Logger) *Stage {
	if spare == nil {
		spare = func(work func()) bool { work(); return true }
	}
	return &Stage{open: open, spare: spare, log: log, wake: make(chan struct{}, 1), shadows: map[string]*shadow{}}
}

// Set replaces the tasks. One that goes on under its ID with the same model keeps
// what it has counted.
func (s *Stage) Set(tasks []Task) {
	s.mu.Lock()
	next := make(map[string]*shadow, len(tasks))
	for _, t := range tasks {
		cameras := make(map[string]bool, len(t.Cameras))
		for _, id := range t.Cameras {
			cameras[id] = true
		}
		if old := s.shadows[t.ID]; old != nil && old.task.Ref == t.Ref && old.task.Share == t.Share && old.task.Provider == t.Provider && maps.Equal(old.cameras, cameras) {
			next[t.ID] = old
			continue
		}
		now := time.Now()
		sh := &shadow{task: t, cameras: cameras, began: now}
		if t.Before != nil && t.Before.Model == t.Ref.Model && t.Before.Version == t.Ref.Version {
			sh.report = *t.Before
			sh.report.Error, sh.report.Classes = "", maps.Clone(t.Before.Classes)
		}
		if sh.report.Since.IsZero() {
			sh.report.Since = now
		}
		sh.report.Model, sh.report.Version, sh.report.Cores = t.Ref.Model, t.Ref.Version, runtime.GOMAXPROCS(0)
		if sh.report.Classes == nil {
			sh.report.Classes = map[string]store.ClassAgreement{}
		}
		next[t.ID] = sh
	}
	for id, old := range s.shadows {
		if next[id] != old {
			s.gone = append(s.gone, old)
		}
	}
	s.shadows = next
	s.mu.Unlock()
	s.signal()
}

func (s *Stage) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Offer hands in a frame that a camera's running model has answered. It never
// blocks; the frame is retained when it is to be looked at.
func (s *Stage) Offer(cameraID string, f *frame.Frame, opts detect.Options, found []detect.Detection) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, sh := range s.shadows {
		if sh.cameras[cameraID] && sh.offer(f, opts, found) {
			s.signal()
		}
	}
}

// offer says whether the frame now waits to be looked at.
func (sh *shadow) offer(f *frame.Frame, opts detect.Options, found []detect.Detection) bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.report.Offered++
	if sh.due += sh.task.Share; sh.due < 1-1e-9 {
		return false
	}
	sh.due--
	sh.report.Chosen++
	if sh.job != nil || sh.busy || sh.report.Error != "" {
		sh.report.Busy++
		return false
	}
	sh.job = &job{frame: f.Retain(), opts: opts, found: slices.Clone(found)}
	return true
}

// Report is what a task has counted so far; false when there is none with this ID.
func (s *Stage) Report(id string) (store.ShadowReport, bool) {
	s.mu.RLock()
	sh := s.shadows[id]
	s.mu.RUnlock()
	if sh == nil {
		return store.ShadowReport{}, false
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	r := sh.report
	r.Classes = maps.Clone(r.Classes)
	r.Active += time.Since(sh.began)
	return r, true
}

// Run loads the models of the tasks and looks at frames until ctx ends.
func (s *Stage) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread ends with this goroutine, so that no other gets its priority.
		runtime.LockOSThread()
		if err := unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest); err != nil {
			s.log.Warn("shadows run at normal priority", "error", err)
		}
		s.work(ctx)
	}()
	<-done
	return nil
}

// lowest is the niceness of a thread that gets what others leave.
const lowest = 19

func (s *Stage) work(ctx context.Context) {
	defer func() {
		s.Set(nil)
		s.closeGone()
	}()
	for {
		s.closeGone()
		for _, sh := range s.list() {
			s.load(ctx, sh)
			s.look(ctx, sh)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
	}
}

func (s *Stage) list() []*shadow {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Collect(maps.Values(s.shadows))
}

// closeGone frees what tasks that are gone have held.
func (s *Stage) closeGone() {
	s.mu.Lock()
	gone := s.gone
	s.gone = nil
	s.mu.Unlock()
	for _, sh := range gone {
		if j := sh.take(); j != nil {
			sh.finish(func(*store.ShadowReport) {})
			j.frame.Release()
		}
		if sh.detector != nil {
			if err := sh.detector.Close(); err != nil {
				s.log.Error("close shadow", "model", sh.task.Ref, "error", err)
			}
		}
	}
}

// load opens the model of a new task. One that does not load is not tried again.
func (s *Stage) load(ctx context.Context, sh *shadow) {
	if sh.detector != nil || sh.failed() || ctx.Err() != nil {
		return
	}
	d, err := s.open(ctx, sh.task.Ref, sh.task.Provider)
	if err == nil {
		sh.detector = d
		s.log.Info("shadow loaded", "model", sh.task.Ref, "promotion", sh.task.ID)
		return
	}
	s.log.Error("shadow does not load", "model", sh.task.Ref, "promotion", sh.task.ID, "error", err)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.report.Error = fmt.Sprintf("load model %s: %v", sh.task.Ref, err)
}

func (sh *shadow) failed() bool {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.report.Error != ""
}

// take returns the waiting job, which is the caller's until finish.
func (sh *shadow) take() *job {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	j := sh.job
	sh.job, sh.busy = nil, j != nil
	return j
}

// finish counts a job.
func (sh *shadow) finish(count func(*store.ShadowReport)) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.busy = false
	count(&sh.report)
}

// look runs the model on the waiting frame, if there is room.
func (s *Stage) look(ctx context.Context, sh *shadow) {
	j := sh.take()
	if j == nil {
		return
	}
	defer j.frame.Release()
	if sh.detector == nil {
		sh.finish(func(r *store.ShadowReport) { r.NoRoom++ })
		return
	}
	var found [][]detect.Detection
	var err error
	var wall, cpu time.Duration
	if !s.spare(func() {
		began, used := time.Now(), threadTime()
		found, err = sh.detector.Detect(ctx, []*frame.Frame{j.frame}, []detect.Options{j.opts})
		wall, cpu = time.Since(began), threadTime()-used
	}) {
		sh.finish(func(r *store.ShadowReport) { r.NoRoom++ })
		return
	}
	if err != nil {
		sh.finish(func(r *store.ShadowReport) {
			if ctx.Err() == nil {
				r.Failed++
			}
			if errors.Is(err, detect.ErrNotFinite) {
				r.NotFinite++
			}
		})
		return
	}
	classes := agree.Compare(j.found, found[0])
	sh.finish(func(r *store.ShadowReport) { add(r, classes, wall, cpu) })
}

// add counts a comparison.
func add(r *store.ShadowReport, classes map[string]agree.Class, wall, cpu time.Duration) {
	r.Looked++
	r.Wall += wall
	r.CPU += cpu
	r.Took.Add(wall)
	same := true
	for label, c := range classes {
		t := r.Classes[label]
		t.Matched += c.Matched
		t.Extra += c.Extra
		t.Missing += c.Missing
		t.ScoreDiff += c.ScoreDiff
		t.AbsScoreDiff += c.AbsScoreDiff
		r.Classes[label] = t
		same = same && c.Extra == 0 && c.Missing == 0
	}
	if same {
		r.Same++
	}
}

// threadTime is the CPU time that this thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0 // every Linux has this clock
	}
	return time.Duration(t.Nano())
}
