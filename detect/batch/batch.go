// Package batch shares one detector among many cameras. Each camera has one
// slot: a newer frame replaces one that still waits, so a slow detector means
// fewer frames per camera and never older ones. When there is too much to do, each
// camera is served in proportion to its weight; nobody waits for ever.
package batch

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"detectd/detect"
	"detectd/pipeline/frame"
)

// ErrStale is the result of a frame that a newer one of the same camera replaced.
var ErrStale = errors.New("replaced by a newer frame")

// Config tunes a Batcher. The zero value is right for a CPU.
type Config struct {
	// MaxBatch bounds the frames of one call; 0 takes the detector's own bound,
	// which is never exceeded.
	MaxBatch int
	// MaxWait is how long an idle worker may hold a frame back for cameras that
	// are due, by their recent rhythm, within that time; 0 never waits. It only
	// pays where a call with many frames costs little more than one with few.
	MaxWait time.Duration
	// Workers run calls side by side; 0 means one per usable core.
	Workers int
	// Turn runs a call when it is its turn among other heavy work; nil: at once.
	// Frames are chosen when the turn comes.
	Turn interface{ Run(work func()) }
}

// Result is what became of a submitted frame.
type Result struct {
	Frame      *frame.Frame // valid until done returns; Retain it to keep it
	Detections []detect.Detection
	Err        error         // ErrStale, the context's error after the end, or the detector's
	BatchSize  int           // frames in the call; 0 when it was never run
	Queued     time.Duration // from Submit to the start of the call
	Inferred   time.Duration // the call itself
}

// job is a submitted frame.
type job struct {
	frame *frame.Frame
	opts  detect.Options
	done  func(Result)
	since time.Time
}

func (j *job) finish(r Result) {
	r.Frame = j.frame
	j.done(r)
	j.frame.Release()
}

// camera is what is known about one key. Turns are given by start-time fair
// queueing (Goyal, Vin and Cheng, 1996): whose count of weighted turns is smallest
// is served first.
type camera struct {
	job   *job          // waiting, or nil
	cost  float64       // of a turn: 1 over the weight
	count float64       // of the turns it has had, at their cost
	turn  uint64        // its latest one, counted over all cameras; 0: none yet
	last  time.Time     // of the latest Submit
	every time.Duration // smoothed time between two Submits; 0 when not known
}

// Batcher is made by New.
type Batcher struct {
	det  detect.Detector
	cfg  Config
	wake chan struct{} // one token per worker at most
	late chan struct{} // stale has something

	mu      sync.Mutex // guards what follows
	cameras map[string]*camera
	queue   []*camera // those with a job, in no order
	turns   uint64    // given so far
	count   float64   // the largest of a camera when it was served
	stale   []*job
	idle    int   // workers without a call
	ended   error // set when Run has ended
}

// New prepares a Batcher. The detector stays owned by the caller and must
// outlive Run.
func New(det detect.Detector, cfg Config) (*Batcher, error) {
	if cfg.MaxBatch < 0 || cfg.MaxWait < 0 || cfg.Workers < 0 {
		return nil, errors.New("batch sizes, waits and workers must not be negative")
	}
	limit := max(det.MaxBatch(), 1)
	if cfg.MaxBatch == 0 || cfg.MaxBatch > limit {
		cfg.MaxBatch = limit
	}
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	return &Batcher{
		det: det, cfg: cfg,
		wake:    make(chan struct{}, cfg.Workers),
		late:    make(chan struct{}, 1),
		cameras: map[string]*camera{},
	}, nil
}

// Submit hands in a frame of the camera key, whose share of the turns is in
// proportion to weight while there are not enough for all; 0 counts as 1. It
// retains the frame and never blocks. done is called exactly once, from a goroutine of Run and with no lock
// held, or before Submit returns when Run has ended.
func (b *Batcher) Submit(key string, weight float64, f *frame.Frame, opts detect.Options, done func(Result)) {
	j := &job{frame: f.Retain(), opts: opts, done: done, since: time.Now()}
	b.mu.Lock()
	if err := b.ended; err != nil {
		b.mu.Unlock()
		j.finish(Result{Err: err})
		return
	}
	c := b.camera(key, j.since)
	c.cost = 1
	if weight > 0 {
		c.cost = 1 / weight
	}
	if c.job != nil {
		b.stale = append(b.stale, c.job)
		signal(b.late)
	} else {
		b.queue = append(b.queue, c)
		// What it did not use is lost but for one turn, so that a camera that comes
		// back does not keep the others waiting.
		c.count = max(c.count, b.count-c.cost)
	}
	c.job = j
	b.mu.Unlock()
	signal(b.wake)
}

// forgetAfter is how long a camera without frames is remembered.
const forgetAfter = time.Minute

// camera returns the record of a key and learns its rhythm.
func (b *Batcher) camera(key string, now time.Time) *camera {
	c, ok := b.cameras[key]
	if !ok {
		for k, old := range b.cameras {
			if old.job == nil && now.Sub(old.last) > forgetAfter {
				delete(b.cameras, k)
			}
		}
		c = &camera{last: now}
		b.cameras[key] = c
		return c
	}
	gap := now.Sub(c.last)
	if c.every == 0 {
		c.every = gap
	} else {
		c.every += (gap - c.every) / 4
	}
	c.last = now
	return c
}

// signal puts a token into ch unless it is full, when enough will look anyway.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Run serves until ctx ends; it then gives every waiting frame the context's
// error and returns nil. It may be called once.
func (b *Batcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	b.mu.Lock()
	b.idle = b.cfg.Workers
	b.mu.Unlock()
	for range b.cfg.Workers {
		wg.Go(func() { b.work(ctx) })
	}
	wg.Go(func() { b.expire(ctx) })
	wg.Wait()

	b.mu.Lock()
	b.ended = ctx.Err()
	stale, queue := b.stale, b.queue
	b.stale, b.queue = nil, nil
	b.mu.Unlock()
	for _, j := range stale {
		j.finish(Result{Err: ErrStale})
	}
	for _, c := range queue {
		c.job.finish(Result{Err: ctx.Err()})
	}
	return nil
}

// expire tells the owners of replaced frames.
func (b *Batcher) expire(ctx context.Context) {
	for {
		b.mu.Lock()
		stale := b.stale
		b.stale = nil
		b.mu.Unlock()
		for _, j := range stale {
			j.finish(Result{Err: ErrStale})
		}
		select {
		case <-ctx.Done():
			return
		case <-b.late:
		}
	}
}

// work is one worker.
func (b *Batcher) work(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		done, wait := b.turn(ctx)
		if done {
			continue
		}
		if wait <= 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-b.wake:
		case <-timer.C:
		}
	}
}

// turn makes one call, when a frame waits for it.
func (b *Batcher) turn(ctx context.Context) (done bool, wait time.Duration) {
	call := func() {
		var jobs []*job
		if jobs, wait = b.take(time.Now()); len(jobs) == 0 {
			return
		}
		b.infer(ctx, jobs)
		b.mu.Lock()
		b.idle++
		b.mu.Unlock()
		done = true
	}
	if b.cfg.Turn == nil {
		call()
		return done, wait
	}
	b.mu.Lock()
	n := len(b.queue)
	b.mu.Unlock()
	if n > 0 {
		b.cfg.Turn.Run(call)
	}
	return done, wait
}

// take returns the jobs for one call. Without any it tells how long to wait
// before looking again, 0 for until the next Submit.
func (b *Batcher) take(now time.Time) ([]*job, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return nil, 0
	}
	if wait := b.hold(now); wait > 0 {
		return nil, wait
	}
	// Idle workers share what waits: two half batches side by side are done
	// before a whole one is.
	n := min(b.cfg.MaxBatch, (len(b.queue)+b.idle-1)/b.idle)
	// Equal ones by the order of their last turns and not of their frames: of cameras
	// served together the faster ones would come back first and overtake the others.
	slices.SortStableFunc(b.queue, func(x, y *camera) int {
		return cmp.Or(cmp.Compare(x.count, y.count), cmp.Compare(x.turn, y.turn))
	})
	jobs := make([]*job, n)
	for i, c := range b.queue[:n] {
		b.turns++
		b.count = max(b.count, c.count)
		c.count += c.cost
		jobs[i], c.job, c.turn = c.job, nil, b.turns
	}
	b.queue = append(b.queue[:0], b.queue[n:]...)
	b.idle--
	return jobs, 0
}

// hold tells how much longer a batch that is not full should wait for cameras
// that are due.
func (b *Batcher) hold(now time.Time) time.Duration {
	if b.cfg.MaxWait == 0 || len(b.queue) >= b.cfg.MaxBatch {
		return 0
	}
	deadline := b.queue[0].job.since
	for _, c := range b.queue[1:] {
		if c.job.since.Before(deadline) {
			deadline = c.job.since
		}
	}
	deadline = deadline.Add(b.cfg.MaxWait)
	if !now.Before(deadline) {
		return 0
	}
	for _, c := range b.cameras {
		if c.job != nil || c.every == 0 {
			continue
		}
		due := c.last.Add(c.every)
		if due.Before(deadline) && now.Before(due.Add(b.cfg.MaxWait)) {
			return deadline.Sub(now)
		}
	}
	return 0
}

// infer runs one call and tells the owners. When a call with several frames
// fails, each is tried alone, so that one bad frame does not spoil the others.
func (b *Batcher) infer(ctx context.Context, jobs []*job) {
	frames := make([]*frame.Frame, len(jobs))
	opts := make([]detect.Options, len(jobs))
	for i, j := range jobs {
		frames[i], opts[i] = j.frame, j.opts
	}
	start := time.Now()
	found, err := b.det.Detect(ctx, frames, opts)
	took := time.Since(start)
	if err == nil && len(found) != len(jobs) {
		err = errors.New("the detector answered for another number of frames")
	}
	if err != nil && len(jobs) > 1 && ctx.Err() == nil {
		for i := range jobs {
			b.infer(ctx, jobs[i:i+1])
		}
		return
	}
	for i, j := range jobs {
		r := Result{Err: err, BatchSize: len(jobs), Queued: start.Sub(j.since), Inferred: took}
		if err == nil {
			r.Detections = found[i]
		}
		j.finish(r)
	}
}
