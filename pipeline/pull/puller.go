package pull

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"
)

// State is how far a pull has come.
type State string

// The states.
const (
	Waiting   State = "waiting"   // for the one before it
	Fetching  State = "fetching"  // bytes come
	Examining State = "examining" // the file is here and being looked at
	Done      State = "done"
	Failed    State = "failed" // Error says why
)

// Job is a pull of an entry of the catalogue.
type Job struct {
	Name    string
	State   State
	Done    int64 // bytes that are here
	Total   int64 // bytes that will be
	Version int   // that it has become, when it is done
	Error   string
	At      time.Time // when it was asked for
}

// ErrUnknown is returned for a name that the catalogue does not have.
var ErrUnknown = errors.New("the catalogue has no such model")

// ErrRunning is returned for a model that is being pulled already.
var ErrRunning = errors.New("it is being pulled already")

// waiting is how many pulls may wait.
const waiting = 16

// Config configures a Puller.
type Config struct {
	Fetcher  *Fetcher
	Dir      string // of files on their way
	MaxBytes int64
	// Add takes a file in and returns the version that it is.
	Add func(ctx context.Context, e Entry, file io.Reader) (version int, err error)
	// Changed is told when a job begins, ends or has come a step further; it must not block.
	Changed func()
	Entries func() []Entry // nil is Catalogue
}

// Puller pulls models one after the other while others go on with their work. Safe
// for concurrent use.
type Puller struct {
	cfg   Config
	queue chan *task

	mu    sync.Mutex
	tasks map[string]*task // the latest of each name
}

// task is a job with what ends it.
type task struct {
	entry  Entry
	ctx    context.Context //nolint:containedctx // of the pull: Stop ends it, whoever runs it
	cancel context.CancelFunc
	job    Job // guarded by Puller.mu
}

// NewPuller returns a puller; Run does the work.
func NewPuller(cfg Config) *Puller {
	if cfg.Entries == nil {
		cfg.Entries = Catalogue
	}
	return &Puller{cfg: cfg, queue: make(chan *task, waiting), tasks: map[string]*task{}}
}

// Start asks for a model of the catalogue. Errors: ErrUnknown, ErrRunning.
func (p *Puller) Start(name string) (Job, error) {
	entries := p.cfg.Entries()
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Job{}, fmt.Errorf("%q: %w", name, ErrUnknown)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if old := p.tasks[name]; old != nil && !old.ended() {
		return old.job, fmt.Errorf("%s: %w", name, ErrRunning)
	}
	t := &task{entry: entries[i], job: Job{Name: name, State: Waiting, Total: entries[i].Bytes, At: time.Now()}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	select {
	case p.queue <- t:
	default:
		t.cancel()
		return Job{}, fmt.Errorf("%s: %d pulls wait already; wait for one of them", name, waiting)
	}
	p.tasks[name] = t
	return t.job, nil
}

// Stop ends a pull. What was fetched is kept for the next one.
func (p *Puller) Stop(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tasks[name]
	if t == nil || t.ended() {
		return fmt.Errorf("%q: %w", name, ErrUnknown)
	}
	t.cancel()
	return nil
}

// Jobs lists the latest pull of each model, the newest first.
func (p *Puller) Jobs() []Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Job, 0, len(p.tasks))
	for _, t := range p.tasks {
		out = append(out, t.job)
	}
	slices.SortFunc(out, func(a, b Job) int { return b.At.Compare(a.At) })
	return out
}

// Run pulls what was asked for, until ctx ends.
func (p *Puller) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-p.queue:
			stop := context.AfterFunc(ctx, t.cancel)
			version, err := p.pull(t)
			stop()
			if t.ctx.Err() != nil && err != nil {
				err = errors.New("it was stopped")
			}
			t.cancel()
			p.change(t, func(j *Job) {
				j.State, j.Version = Done, version
				if err != nil {
					j.State, j.Error = Failed, err.Error()
				}
			})
		}
	}
}

func (p *Puller) pull(t *task) (version int, err error) {
	p.change(t, func(j *Job) { j.State = Fetching })
	told := time.Now()
	got, err := p.cfg.Fetcher.Fetch(t.ctx, File{
		URL: t.entry.URL, SHA256: t.entry.SHA256, MaxBytes: p.cfg.MaxBytes, Dir: p.cfg.Dir,
		Progress: func(done, total int64) {
			p.mu.Lock()
			t.job.Done, t.job.Total = done, total
			p.mu.Unlock()
			if time.Since(told) > time.Second {
				told = time.Now()
				p.cfg.Changed()
			}
		},
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.Remove(got.Path)) }()
	p.change(t, func(j *Job) { j.State, j.Done, j.Total = Examining, got.Bytes, got.Bytes })
	file, err := os.Open(got.Path)
	if err != nil {
		return 0, fmt.Errorf("open what was fetched: %w", err)
	}
	defer func() { _ = file.Close() }()
	return p.cfg.Add(t.ctx, t.entry, file)
}

func (p *Puller) change(t *task, how func(*Job)) {
	p.mu.Lock()
	how(&t.job)
	p.mu.Unlock()
	p.cfg.Changed()
}

// ended says whether nothing will come any more. Puller.mu is held.
func (t *task) ended() bool { return t.job.State == Done || t.job.State == Failed }
