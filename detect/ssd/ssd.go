// Package ssd reads detectors of the SSD family: per anchor a box code and scores.
// In the family ssd the anchors are a constant output of the model, in the family
// ssdheads they are grids in the contract.
//
// Outputs of one picture, A anchors:
//
//	boxes    [A,4]  dx, dy, dw, dh relative to the anchor (dy, dx, dh, dw with the
//	                parameter yx_order), multiplied by scale_xy and scale_wh
//	scores   [A,C]  after the contract's activation; column 0 may be the background
//	anchors  [A,4]  x0, y0, x1, y1 in 0..1 of the input (y0, x0, y1, x1 with yx_order)
//
// Boxes and scores of ssdheads may come in levels, one output per grid, as [A,4]
// and [A,C], or as a convolution leaves them: [S·4,H,W] and [S·C,H,W] for S sizes.
//
// The box code is that of Liu et al., "SSD: Single Shot MultiBox Detector"
// (2016); TensorFlow's object detection API and torchvision both scale it by 10
// and 5.
package ssd

import (
	"fmt"
	"math"
	"slices"

	"detectd/detect"
	"detectd/detect/scan"
	"detectd/detect/score"
	"detectd/detect/sniff"
)

// Family is the row of the family ssd in the table of detect/model.
func Family() detect.Family {
	return detect.Family{
		Name:    "ssd",
		Outputs: []string{"boxes", "scores", "anchors"},
		Sniff:   sniffAnchors,
		New:     newDecoder,
	}
}

type decoder struct {
	width, height    float32
	scaleXY, scaleWH float32
	yx               bool
	columns          int
	first            int // column of the first class
	softmax          bool
	activate         score.Function // when not softmax
}

// sniffAnchors recognises the names of the outputs. Anchors and box codes look
// alike in all SSDs, but class lists and scaling do not, so it asks for them.
func sniffAnchors(s detect.Signature) detect.Guess {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize = detect.RGB, detect.Stretch
	half := [3]float32{0.5, 0.5, 0.5}
	sniff.Normal(&in, half, half)
	c := detect.Contract{
		Family: "ssd", Input: in, Background: true, Labels: sniff.Names(s), MinScore: 0.4, NMSIoU: 0.6, MaxBoxes: 100,
		Outputs: map[string]string{}, Params: map[string]float64{"scale_xy": 10, "scale_wh": 5},
	}
	for _, name := range []string{"boxes", "scores", "anchors"} {
		if _, found := s.Output(name); found {
			c.Outputs[name] = name
		}
	}
	g := detect.Guess{Contract: c, Ask: []string{"labels", "background", "activation", "params.yx_order"}}
	if ok && len(c.Outputs) == 3 && len(s.Outputs) == 3 {
		g.Fit = detect.Possible
	}
	return g
}

func newDecoder(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	boxes, scores, anchors := shapes[0], shapes[1], shapes[2]
	if len(anchors) == 3 && anchors[0] == 1 {
		anchors = anchors[1:]
	}
	if len(boxes) != 2 || len(scores) != 2 || len(anchors) != 2 ||
		boxes[0] != scores[0] || boxes[0] != anchors[0] || boxes[1] != 4 || anchors[1] != 4 {
		return nil, fmt.Errorf("shapes %v, %v and %v are not those of boxes, scores and anchors", boxes, scores, anchors)
	}
	return newCodes(c, int(scores[1]))
}

// newCodes makes the decoder for rows of a number of columns.
func newCodes(c detect.Contract, columns int) (*decoder, error) {
	d := &decoder{
		width: float32(c.Input.Width), height: float32(c.Input.Height),
		scaleXY: param(c, "scale_xy", 10), scaleWH: param(c, "scale_wh", 5),
		yx: c.Params["yx_order"] != 0, columns: columns,
	}
	if !(d.scaleXY > 0) || !(d.scaleWH > 0) {
		return nil, fmt.Errorf("scale factors must be greater than zero (got %g and %g)", d.scaleXY, d.scaleWH)
	}
	if c.Background {
		d.first = 1
	}
	if n := d.columns - d.first; n != c.Classes() {
		return nil, fmt.Errorf("%d score columns for %d classes", n, c.Classes())
	}
	if d.softmax = c.Activation == detect.Softmax; d.softmax {
		return d, nil
	}
	var err error
	d.activate, err = score.New(c.Activation)
	return d, err
}

func param(c detect.Contract, name string, value float32) float32 {
	if v, ok := c.Params[name]; ok {
		return float32(v)
	}
	return value
}

// Decode implements detect.Decoder.
func (d *decoder) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	boxes, scores, anchors := outputs[0], outputs[1], outputs[2]
	add := func(row, column int, s float32) {
		c := d.box(boxes[4*row:4*row+4], anchors[4*row:4*row+4])
		c.Class, c.Score = column-d.first, s
		dst = append(dst, c)
	}
	if d.softmax {
		for row := range len(scores) / d.columns {
			d.softmaxRow(scores[row*d.columns:(row+1)*d.columns], minScore, func(column int, s float32) {
				add(row, column, s)
			})
		}
		return dst
	}
	scan.Rows(scores, d.columns, d.first, d.activate.Raw(minScore), func(i int) {
		row, column := i/d.columns, i%d.columns
		if s := d.activate.Of(scores[i]); s >= minScore {
			add(row, column, s)
		}
	})
	return dst
}

// softmaxRow calls add for each class of a row with at least minScore. Most rows
// are background by far, which their two largest numbers tell.
func (d *decoder) softmaxRow(row []float32, minScore float32, add func(column int, s float32)) {
	best := slices.Max(row[d.first:])
	top := best
	if d.first > 0 {
		top = max(top, row[0])
		if score.Sigmoid(best-row[0]) < minScore {
			return
		}
	}
	sum := 0.0
	for _, v := range row {
		sum += math.Exp(float64(v) - float64(top))
	}
	for column, v := range row[d.first:] {
		if s := float32(math.Exp(float64(v)-float64(top)) / sum); s >= minScore {
			add(column+d.first, s)
		}
	}
}

// maxGrowth bounds how much larger than its anchor a box may be, as an exponent.
const maxGrowth = 8

func (d *decoder) box(code, anchor []float32) detect.Candidate {
	dx, dy, dw, dh := code[0], code[1], code[2], code[3]
	x0, y0, x1, y1 := anchor[0], anchor[1], anchor[2], anchor[3]
	if d.yx {
		dx, dy, dw, dh = dy, dx, dh, dw
		x0, y0, x1, y1 = y0, x0, y1, x1
	}
	w, h := x1-x0, y1-y0
	cx := x0 + w/2 + dx/d.scaleXY*w
	cy := y0 + h/2 + dy/d.scaleXY*h
	w *= exp(dw / d.scaleWH)
	h *= exp(dh / d.scaleWH)
	return detect.Candidate{
		X0: (cx - w/2) * d.width, Y0: (cy - h/2) * d.height,
		X1: (cx + w/2) * d.width, Y1: (cy + h/2) * d.height,
	}
}

var _ detect.Decoder = (*decoder)(nil)

func exp(v float32) float32 { return float32(math.Exp(float64(min(v, maxGrowth)))) }
