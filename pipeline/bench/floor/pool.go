package floor

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"detectd/detect"
	"detectd/detect/batch"
	"detectd/detect/model"
	"detectd/pipeline"
	"detectd/pipeline/decode"
	"detectd/pipeline/frame"
	"detectd/pipeline/source/file"
)

// Pool measures the detector pool of the daemon (detect/model behind detect/batch)
// with streams that always have a frame waiting, each of which gets the given
// number of answers. The frames are real ones of the video, so that making the
// tensor and reading the boxes is in it. warm answers per stream come before.
func (m *Model) Pool(ctx context.Context, video string, streams, warm, answers int) (i Inferring, err error) {
	err = m.withPool(ctx, video, streams, model.Options{}, batch.Config{}, func(b *batch.Batcher, frames *Frames) (err error) {
		work := func(answers int) (took []time.Duration, err error) {
			err = saturate(b, frames.List, streams, func(made int) bool { return made < answers }, func(r batch.Result) {
				took = append(took, r.Inferred)
			})
			return took, err
		}
		if _, err := work(warm); err != nil {
			return err
		}
		i, err = timed(func() ([]time.Duration, error) { return work(answers) })
		return err
	})
	return i, err
}

// withPool runs work with the daemon's pool of detectors and some frames of a video.
func (m *Model) withPool(ctx context.Context, video string, n int, o model.Options, c batch.Config, work func(*batch.Batcher, *Frames) error) (err error) {
	frames, err := ReadFrames(ctx, video, n)
	if err != nil {
		return err
	}
	defer frames.Close()
	d, err := model.Open(m.rt, m.data, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	b, err := batch.New(d, c)
	if err != nil {
		return fmt.Errorf("make pool: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	defer func() { cancel(); err = errors.Join(err, <-ended) }()
	return work(b, frames)
}

// Detector opens the model as the daemon does.
func (m *Model) Detector() (detect.Detector, error) { return model.Open(m.rt, m.data, model.Options{}) }

// Data is the model's file.
func (m *Model) Data() []byte { return m.data }

// Contract tells how the model is fed and read.
func (m *Model) Contract() detect.Contract { return m.contract }

// saturate hands in a frame of each stream as soon as the one before is answered, for
// as long as more says to a stream with so many answers. answered is called by one at
// a time.
func saturate(b *batch.Batcher, frames []*frame.Frame, streams int, more func(made int) bool, answered func(batch.Result)) error {
	var mu sync.Mutex // held while answered is called
	errs := make([]error, streams)
	var wg sync.WaitGroup
	for s := range streams {
		wg.Go(func() {
			answer := make(chan batch.Result, 1)
			for made := 0; more(made); made++ {
				b.Submit(strconv.Itoa(s), 1, frames[(s+made)%len(frames)], detect.Options{}, func(r batch.Result) { answer <- r })
				r := <-answer
				if errs[s] = r.Err; r.Err != nil {
					return
				}
				mu.Lock()
				answered(r)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Frames are decoded pictures that are kept.
type Frames struct {
	List []*frame.Frame
	pool frame.Pool
}

// Close gives the frames back.
func (f *Frames) Close() {
	for _, x := range f.List {
		x.Release()
	}
	f.List = nil
	f.pool.Close()
}

// ReadFrames decodes the first n pictures of a video.
func ReadFrames(ctx context.Context, path string, n int) (*Frames, error) {
	info, err := file.Probe(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	src, err := file.New(file.Config{Path: path})
	if err != nil {
		return nil, err
	}
	f := &Frames{}
	d, err := decode.New(info.Format, &f.pool, decode.Options{})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	defer d.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keep := func(x *frame.Frame) {
		if len(f.List) == n {
			x.Release()
			return
		}
		if f.List = append(f.List, x); len(f.List) == n {
			cancel()
		}
	}
	sink := units(func(u pipeline.Unit) {
		if len(f.List) < n {
			err = errors.Join(err, d.Decode(u, keep))
		}
	})
	state, reason := pipeline.StateEnded, ""
	if ran := src.Run(ctx, sink); ran != nil {
		state, reason = pipeline.StateOf(ran)
	}
	if len(f.List) < n {
		err = errors.Join(err, d.Flush(keep))
	}
	if len(f.List) == 0 && err == nil || state != pipeline.StateEnded {
		err = errors.Join(err, fmt.Errorf("it holds no picture %s", reason))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	return f, nil
}

// units is a sink that is interested in units only.
type units func(pipeline.Unit)

func (f units) Format(pipeline.Format) {}
func (f units) Unit(u pipeline.Unit)   { f(u) }
