package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"detectd/detect"
	"detectd/detect/model"
	"detectd/detect/ort"
	"detectd/pipeline/frame"
)

// patience is how many runs in a row the runtime may fail before its provider is
// given up.
const patience = 5

// Opener opens the model on one provider.
type Opener func(ort.Provider) (detect.Detector, error)

// OpenOn returns the Opener of a model file. data is read anew for each provider.
func OpenOn(rt *ort.Runtime, data func() ([]byte, error), o model.Options, c Choice) Opener {
	return func(p ort.Provider) (detect.Detector, error) {
		file, err := data()
		if err != nil {
			return nil, err
		}
		at := o
		at.Session.Provider, at.Session.Device = p, c.Device
		if p.GPU() && at.MaxBatch == 0 {
			at.MaxBatch = c.MaxBatch
		}
		at.Session.Callers, at.Session.Engines = c.Callers, c.Engines
		return model.Open(rt, file, at)
	}
}

// running is the model on one provider.
type running struct {
	detect.Detector
	provider ort.Provider
	failed   atomic.Int64 // runs in a row
}

// Detector is a model that changes its provider when that breaks. Safe for concurrent
// use.
type Detector struct {
	open    Opener
	choice  Choice
	changed func(State)          // may be nil
	spent   func() time.Duration // CPU time
	current atomic.Pointer[running]

	moving   sync.Mutex // held while the provider is changed and while the detector is closed
	closed   bool
	failures atomic.Uint64

	mu    sync.Mutex // guards state
	state State
}

var _ detect.Detector = (*Detector)(nil)

// Open opens a model on the first provider of the choice that works and finds the
// boxes that the CPU finds. An automatic choice takes OpenVINO only where a short trial
// shows it to need less time than the CPU provider with this model. changed, which may be nil, is called with the new state
// whenever the provider changes later; it must not block.
func Open(ctx context.Context, open Opener, c Choice, changed func(State)) (*Detector, error) {
	reference, err := open(ort.CPU)
	if err != nil {
		return nil, err // the model itself is at fault
	}
	return openAt(ctx, open, c, changed, reference, processTime)
}

func openAt(ctx context.Context, open Opener, c Choice, changed func(State), reference detect.Detector, spent func() time.Duration) (*Detector, error) {
	d := &Detector{open: open, choice: c, changed: changed, spent: spent}
	r := d.first(ctx, c.order(), reference)
	if err := ctx.Err(); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	d.current.Store(r)
	return d, nil
}

// first opens the first provider that works and notes those that do not. The
// reference is the model on the CPU: it is closed unless it is what is left.
func (d *Detector) first(ctx context.Context, order []ort.Provider, reference detect.Detector) *running {
	for _, p := range order {
		if p == ort.CPU || ctx.Err() != nil {
			break
		}
		found, err := d.open(p)
		if err == nil {
			if err = d.fits(ctx, p, reference, found); err == nil {
				_ = reference.Close() // it works, and is not needed
				d.note(func(s *State) { s.Provider = p })
				return &running{Detector: found, provider: p}
			}
			err = errors.Join(err, found.Close())
		}
		d.refuse(p, err)
	}
	d.note(func(s *State) { s.Provider = ort.CPU })
	return &running{Detector: reference, provider: ort.CPU}
}

// fits tells why a provider that starts is not taken after all.
func (d *Detector) fits(ctx context.Context, p ort.Provider, reference, found detect.Detector) error {
	if err := compare(ctx, reference, found); err != nil || !d.choice.tried(p) {
		return err
	}
	trial, err := race(ctx, reference, found, d.spent)
	if err != nil {
		return err
	}
	d.note(func(s *State) { s.Trial = trial.String() })
	if !trial.Pays() {
		return fmt.Errorf("it does not save time with this model: %s", trial)
	}
	return nil
}

func (d *Detector) refuse(p ort.Provider, err error) {
	// The model has been opened on the CPU: it is not at fault, as its opening says.
	reason := strings.TrimPrefix(err.Error(), detect.ErrNotDetector.Error()+": ")
	d.note(func(s *State) {
		s.Refused = append(s.Refused, Refusal{Provider: p, Reason: reason})
		if d.choice.asked(p) && !s.Degraded {
			s.Degraded, s.Reason = true, fmt.Sprintf("%s does not work here: %s", p, reason)
		}
	})
}

func (d *Detector) note(change func(*State)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.state)
}

// State tells what the model runs on.
func (d *Detector) State() State {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.state
	s.Refused = append([]Refusal(nil), s.Refused...)
	s.Failures = d.failures.Load()
	return s
}

// Detect implements detect.Detector. Runs that the runtime fails are errors; after
// some in a row the model is opened on the next provider, by the call that failed
// last.
func (d *Detector) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	for {
		r := d.current.Load()
		found, err := r.Detect(ctx, frames, opts)
		switch {
		case err == nil:
			if r.failed.Load() != 0 {
				r.failed.Store(0)
			}
			return found, nil
		case errors.Is(err, model.ErrClosed) && d.current.Load() != r:
			continue // another call has just changed the provider
		case errors.Is(err, ort.ErrRun):
			d.failures.Add(1)
			if r.failed.Add(1) >= patience && r.provider != ort.CPU {
				d.move(ctx, r, err)
			}
		}
		return nil, err
	}
}

// move opens the model on the provider after the broken one. Other calls go on
// failing meanwhile, and one that comes second finds it done.
func (d *Detector) move(ctx context.Context, broken *running, cause error) {
	if !d.moving.TryLock() {
		return
	}
	defer d.moving.Unlock()
	if d.closed || d.current.Load() != broken {
		return
	}
	order := d.choice.order()
	for len(order) > 0 && order[0] != broken.provider {
		order = order[1:]
	}
	reference, err := d.open(ort.CPU)
	if err != nil {
		// What has worked before does not now: perhaps it does at the next error.
		broken.failed.Store(0)
		return
	}
	d.note(func(s *State) {
		s.Moves++
		s.Degraded = true
		s.Reason = fmt.Sprintf("%s broke after it had worked: %s", broken.provider, cause)
		s.Refused = append(s.Refused, Refusal{Provider: broken.provider, Reason: s.Reason})
	})
	next := d.first(context.WithoutCancel(ctx), order[min(1, len(order)):], reference)
	d.current.Store(next)
	if err := broken.Close(); err != nil {
		d.note(func(s *State) { s.Refused[len(s.Refused)-1].Reason += "; " + err.Error() })
	}
	if d.changed != nil {
		d.changed(d.State())
	}
}

// Unwrap is the model on its present provider. It is closed when that breaks.
func (d *Detector) Unwrap() detect.Detector { return d.current.Load().Detector }

// MaxBatch implements detect.Detector.
func (d *Detector) MaxBatch() int { return d.current.Load().MaxBatch() }

// Contract implements detect.Detector.
func (d *Detector) Contract() detect.Contract { return d.current.Load().Contract() }

// Close implements detect.Detector.
func (d *Detector) Close() error {
	d.moving.Lock()
	defer d.moving.Unlock()
	d.closed = true
	return d.current.Load().Close()
}
