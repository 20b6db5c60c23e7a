package model

import (
	"context"
	"fmt"
	"slices"

	"detectd/detect"
	"detectd/detect/nms"
	"detectd/detect/tensor"
	"detectd/pipeline/frame"
)

// view is a picture changed inside of the model's input, where objects move to
// known places.
type view int

const (
	plain    view = iota
	mirrored      // left and right changed over
	shifted       // an eighth to the right and down, the edge drawn out
)

// shifts is the part of the width and the height that shifted moves by.
const shifts = 8

// reader reads a session's answers by another contract than the detector's own.
// It shares the session, which the contract must fit.
type reader struct {
	session  *detector
	contract detect.Contract
	filler   *tensor.Filler
	decoder  detect.Decoder
}

// reader returns a reader for a changed contract; an error when the change does
// not fit the model.
func (d *detector) reader(c detect.Contract) (*reader, error) {
	f, ok := family(c.Family)
	if !ok {
		return nil, fmt.Errorf("unknown family %q", c.Family)
	}
	filler, err := tensor.New(c.Input)
	if err != nil {
		return nil, err
	}
	decoder, err := f.New(c, d.session.OutputShapes())
	if err != nil {
		return nil, err
	}
	return &reader{session: d, contract: c, filler: filler, decoder: decoder}, nil
}

// answer is what came out for one picture.
type answer struct {
	outputs  [][]float32
	geometry tensor.Geometry
}

// ask runs the model on one view of a picture.
func (r *reader) ask(ctx context.Context, f *frame.Frame, v view) (answer, error) {
	d := r.session
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.closed {
		return answer{}, ErrClosed
	}
	call, err := d.session.Acquire(max(r.contract.Input.Batch, 1))
	if err != nil {
		return answer{}, err
	}
	defer call.Release()
	size := r.filler.Bytes()
	g, err := r.filler.FillBytes(call.Bytes(), f)
	if err != nil {
		return answer{}, err
	}
	r.turn(call.Bytes()[:size], g, v)
	if err := call.Run(ctx); err != nil {
		return answer{}, err
	}
	a := answer{geometry: g}
	for _, values := range call.Outputs(nil, 0) {
		a.outputs = append(a.outputs, slices.Clone(values))
	}
	return a, nil
}

// turn changes the picture in a tensor to a view of it.
func (r *reader) turn(data []byte, g tensor.Geometry, v view) {
	if v == plain {
		return
	}
	in := r.contract.Input
	size := len(data) / (3 * in.Width * in.Height) // of a value
	planes, pixel := 3, size
	if in.Layout == detect.NHWC {
		planes, pixel = 1, 3*size
	}
	stride := in.Width * pixel
	for p := range planes {
		plane := data[p*in.Height*stride:]
		row := func(y int) []byte {
			at := (g.Top+y)*stride + g.Left*pixel
			return plane[at : at+g.Cols*pixel]
		}
		if v == mirrored {
			for y := range g.Rows {
				mirror(row(y), pixel)
			}
			continue
		}
		dx, dy := g.Cols/shifts*pixel, g.Rows/shifts
		for y := g.Rows - 1; y >= 0; y-- {
			to, from := row(y), row(max(y-dy, 0))
			copy(to[dx:], from[:len(from)-dx])
			for x := 0; x < dx; x += pixel {
				copy(to[x:x+pixel], from)
			}
		}
	}
}

// mirror changes left and right over in a row of pixels of a number of bytes.
func mirror(row []byte, pixel int) {
	for i, j := 0, len(row)-pixel; i < j; i, j = i+pixel, j-pixel {
		for k := range pixel {
			row[i+k], row[j+k] = row[j+k], row[i+k]
		}
	}
}

// read returns what an answer holds, best first.
func (r *reader) read(a answer) []detect.Candidate {
	c := &r.contract
	return nms.Suppress(r.decoder.Decode(nil, a.outputs, c.MinScore), c.NMSIoU, c.MaxBoxes)
}

// sameIoU is how much a box must overlap with where it is expected.
const sameIoU = 0.5

// follow tells how much of what is in a picture is found again in its view: sums
// of scores.
func follow(before, after []detect.Candidate, g tensor.Geometry, v view) (again, all float32) {
	used := make([]bool, len(after))
	dx, dy := float32(g.Cols/shifts), float32(g.Rows/shifts)
	for _, b := range before {
		switch v {
		case mirrored:
			edge := 2*float32(g.Left) + float32(g.Cols)
			b.X0, b.X1 = edge-b.X1, edge-b.X0
		case shifted:
			b.X0, b.X1, b.Y0, b.Y1 = b.X0+dx, b.X1+dx, b.Y0+dy, b.Y1+dy
			if (b.X0+b.X1)/2 > float32(g.Left+g.Cols) || (b.Y0+b.Y1)/2 > float32(g.Top+g.Rows) {
				continue // moved out
			}
			b.X1, b.Y1 = min(b.X1, float32(g.Left+g.Cols)), min(b.Y1, float32(g.Top+g.Rows))
		case plain:
		}
		all += b.Score
		for i, a := range after {
			if !used[i] && a.Class == b.Class && overlaps(a, b) >= sameIoU {
				used[i] = true
				again += b.Score
				break
			}
		}
	}
	return again, all
}

func overlaps(a, b detect.Candidate) float32 {
	w := min(a.X1, b.X1) - max(a.X0, b.X0)
	h := min(a.Y1, b.Y1) - max(a.Y0, b.Y0)
	if w <= 0 || h <= 0 {
		return 0
	}
	inter := w * h
	return inter / ((a.X1-a.X0)*(a.Y1-a.Y0) + (b.X1-b.X0)*(b.Y1-b.Y0) - inter)
}
