// Package model opens model files as detectors: it finds or checks the
// contract, loads the model, tries it, and then turns frames into detections.
package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"detectd/detect"
	"detectd/detect/nms"
	"detectd/detect/onnx"
	"detectd/detect/ort"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// ErrClosed is returned by Detect after Close.
var ErrClosed = errors.New("model is closed")

// Options say how to open a model.
type Options struct {
	// Contract overrides what the file says; nil takes that.
	Contract *detect.Contract
	// Family names the family of a model whose file does not say it; empty finds
	// it out. It overrides a contract of another family in the file.
	Family string
	// Overrides change single values of the contract, see Override.
	Overrides map[string]string
	// MaxBatch bounds the frames of one call of a model with a free batch. 0
	// means 1 on a CPU, with OpenVINO too, where a batch of 8 costs a fifth more per picture than
	// single ones (measured, it falls out of the caches), and 8 elsewhere: with the
	// default model on an H100 calls of 8 by four threads come to 83 % of calls of 32, and
	// come back four times as early.
	MaxBatch int
	Session  ort.Options
}

const gpuBatch = 8

// sizes are the numbers of pictures that a GPU runs: few, because each takes seconds to
// prepare, and close enough that filling up does not cost too much.
func sizes(most int) []int {
	list := []int{1}
	for n := 4; n < most; n *= 2 {
		list = append(list, n)
	}
	if most > 1 {
		list = append(list, most)
	}
	return list
}

// detector implements detect.Detector.
type detector struct {
	contract detect.Contract
	labels   []int // by score column: index in contract.Labels or -1
	session  *ort.Session
	filler   *tensor.Filler
	decoder  detect.Decoder
	maxBatch int
	scratch  sync.Pool // of *scratch

	mu     sync.RWMutex // held for reading by each Detect; guards closed
	closed bool
}

// scratch is what decoding one picture needs.
type scratch struct {
	candidates []detect.Candidate
	outputs    [][]float32
}

// Open loads a model from the bytes of its file, which are not needed
// afterwards, and tries it on a grey picture. It refuses files with
// detect.ErrNotONNX, detect.ErrExternalData or detect.ErrNotDetector and the
// reason. The detector's Contract is the one to store: it may know more than
// Sniff, as the model has been run.
func Open(rt *ort.Runtime, data []byte, o Options) (detect.Detector, error) {
	m, err := onnx.Parse(data)
	if err != nil {
		return nil, err
	}
	s := m.Signature()
	if _, carried := s.Metadata[detect.MetadataKey]; o.Contract == nil && !carried {
		if s, err = complete(rt, data, s, o); err != nil {
			return nil, err
		}
	}
	c, sniffed, err := find(s, o)
	if err != nil {
		return nil, notDetector(err)
	}
	f, c, err := check(c, s)
	if err != nil {
		return nil, err
	}
	filler, err := tensor.New(c.Input)
	if err != nil {
		return nil, refuse("%w", err)
	}
	var outputs []string
	for _, name := range f.Outputs {
		for _, key := range c.Levels(name) {
			outputs = append(outputs, c.Outputs[key])
		}
	}
	data, info, err := prepare(data, s, c.Input, c.Constants, outputs)
	if err != nil {
		return nil, fmt.Errorf("prepare model: %w", err)
	}
	if o.Session.Provider.GPU() && len(o.Session.Sizes) == 0 {
		o.Session.Sizes = sizes(cmp.Or(o.MaxBatch, gpuBatch))
	}
	session, err := rt.NewSession(data, info, o.Session)
	if errors.Is(err, ort.ErrSinglePicture) && sniffed {
		c.Input.Batch, info.Shape[0] = 1, 1
		session, err = rt.NewSession(data, info, o.Session)
	}
	if err != nil {
		return nil, notLoaded(err, o.Session.Provider)
	}
	d := &detector{session: session, filler: filler, maxBatch: o.MaxBatch}
	d.scratch.New = func() any { return new(scratch) }
	switch p := o.Session.Provider; {
	case c.Input.Batch > 0:
		d.maxBatch = c.Input.Batch
	case d.maxBatch > 0:
	case !p.GPU():
		d.maxBatch = 1
	default:
		d.maxBatch = gpuBatch
	}
	if most := session.MaxBatch(); most > 0 {
		d.maxBatch = min(d.maxBatch, most)
	}
	if err := d.selfCheck(f, c, sniffed, o); err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return d, nil
}

// notLoaded is the error of a file that cannot be loaded or run. On the CPU that is
// the file's fault. Elsewhere it is the provider's: whether the file is good is known
// from the CPU.
func notLoaded(err error, p ort.Provider) error {
	if p == "" || p == ort.CPU {
		return refuse("%w", err)
	}
	return err
}

// notDetector makes an error of a model's contract one that is known as such.
func notDetector(err error) error {
	if errors.Is(err, detect.ErrNotDetector) {
		return err
	}
	return refuse("%w", err)
}

// selfCheck runs the model on a grey picture and makes the decoder for what came out.
func (d *detector) selfCheck(f detect.Family, c detect.Contract, sniffed bool, o Options) error {
	call, err := d.session.Acquire(max(c.Input.Batch, 1))
	if err != nil {
		return notLoaded(fmt.Errorf("self check: %w", err), o.Session.Provider)
	}
	defer call.Release()
	if err := d.blank(call); err != nil {
		return err
	}
	if err := call.Run(context.Background()); err != nil {
		return notLoaded(fmt.Errorf("self check: %w", err), o.Session.Provider)
	}
	outputs, shapes := call.Outputs(nil, 0), d.session.OutputShapes()
	if sniffed && f.Settle != nil {
		settled := f.Settle(c, shapes, outputs)
		if settled.Family != f.Name && o.Family == "" {
			return fmt.Errorf("%w: its outputs fit the family %s, but its answer that of %s; name one: --family %s or --family %s",
				detect.ErrAmbiguous, f.Name, settled.Family, settled.Family, f.Name)
		}
		settled.Family = f.Name
		if c, err = Override(settled, o.Overrides); err != nil {
			return notDetector(err)
		}
	}
	if d.decoder, err = f.New(c, shapes); err != nil {
		return refuse("outputs: %w", err)
	}
	d.contract = c
	d.labels = c.LabelIDs
	if d.labels == nil {
		for i := range c.Labels {
			d.labels = append(d.labels, i)
		}
	}
	d.decoder.Decode(nil, outputs, c.MinScore)
	return nil
}

// blank makes all pictures of a call grey.
func (d *detector) blank(call *ort.Call) error {
	const grey = 114
	size := d.filler.Bytes()
	for in := call.Bytes(); len(in) >= size; in = in[size:] {
		if err := d.filler.Blank(in, grey); err != nil {
			return err
		}
	}
	return nil
}

// MaxBatch implements detect.Detector.
func (d *detector) MaxBatch() int { return d.maxBatch }

// Contract implements detect.Detector.
func (d *detector) Contract() detect.Contract { return d.contract }

// Close implements detect.Detector. It waits for calls that are running.
func (d *detector) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return d.session.Close()
}

// Detect implements detect.Detector. More frames than MaxBatch are run in parts.
func (d *detector) Detect(ctx context.Context, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	if len(opts) != len(frames) {
		return nil, fmt.Errorf("%d options for %d frames", len(opts), len(frames))
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return nil, ErrClosed
	}
	result := make([][]detect.Detection, 0, len(frames))
	for len(frames) > 0 {
		n := min(len(frames), d.maxBatch)
		var err error
		if result, err = d.part(ctx, result, frames[:n], opts[:n]); err != nil {
			return nil, err
		}
		frames, opts = frames[n:], opts[n:]
	}
	return result, nil
}

// part runs one batch and appends its detections to result.
func (d *detector) part(ctx context.Context, result [][]detect.Detection, frames []*frame.Frame, opts []detect.Options) ([][]detect.Detection, error) {
	batch := len(frames)
	if d.contract.Input.Batch > 0 {
		batch = d.contract.Input.Batch // the rest keeps an earlier picture
	}
	call, err := d.session.Acquire(batch)
	if err != nil {
		return nil, err
	}
	defer call.Release()
	size := d.filler.Bytes()
	geometry := make([]tensor.Geometry, len(frames))
	for i, f := range frames {
		if geometry[i], err = d.filler.FillBytes(call.Bytes()[i*size:(i+1)*size], f); err != nil {
			return nil, err
		}
	}
	if err := call.Run(ctx); err != nil {
		// The picture that did it must not lie beside the next ones of a fixed batch.
		return nil, errors.Join(err, d.blank(call))
	}
	s := d.scratch.Get().(*scratch)
	defer d.scratch.Put(s)
	for i := range frames {
		s.outputs = call.Outputs(s.outputs, i)
		result = append(result, d.read(s, geometry[i], opts[i]))
	}
	return result, nil
}

// read makes detections from the outputs of one picture.
func (d *detector) read(s *scratch, g tensor.Geometry, o detect.Options) []detect.Detection {
	c := &d.contract
	limits := limitsOf(o, c)
	s.candidates = d.decoder.Decode(s.candidates[:0], s.outputs, limits.lowest())
	wanted := s.candidates[:0]
	for _, x := range s.candidates {
		if x.Class = d.labels[x.Class]; x.Class < 0 {
			continue
		}
		if label := c.Labels[x.Class]; (len(o.Classes) == 0 || o.Classes[label]) && limits.keeps(label, x.Score) {
			wanted = append(wanted, x)
		}
	}
	kept := nms.SuppressEach(wanted, func(class int) float32 { return limits.overlap(c.Labels[class]) }, cmp.Or(o.MaxBoxes, c.MaxBoxes))
	found := make([]detect.Detection, 0, len(kept))
	for _, x := range kept {
		box := g.ToSource(x.X0, x.Y0, x.X1, x.Y1)
		if box.W <= 0 || box.H <= 0 {
			continue
		}
		found = append(found, detect.Detection{
			ClassID: x.Class, Label: c.Labels[x.Class], Score: min(x.Score, 1), Box: box,
		})
	}
	return found
}

var _ detect.Detector = (*detector)(nil)
