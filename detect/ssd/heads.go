package ssd

import (
	"errors"
	"fmt"

	"detectd/detect"
	"detectd/detect/sniff"
)

// Heads is the row of the family ssdheads in the table of detect/model.
func Heads() detect.Family {
	return detect.Family{Name: "ssdheads", Outputs: []string{"boxes", "scores"}, Sniff: sniffHeads, New: newHeads}
}

// fewAnchors is fewer than any SSD has, and more than DETRs have queries.
const fewAnchors = 1000

// sniffHeads recognises box codes and scores of the same many anchors. Those of
// torchvision's SSDLite320 are known by their number.
func sniffHeads(s detect.Signature) detect.Guess {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize = detect.RGB, detect.Stretch
	half := [3]float32{0.5, 0.5, 0.5}
	sniff.Normal(&in, half, half)
	c := detect.Contract{
		Family: "ssdheads", Input: in, Background: true, MinScore: 0.4, NMSIoU: 0.55, MaxBoxes: 100,
		Activation: detect.Softmax, Outputs: map[string]string{},
		Params: map[string]float64{"scale_xy": 10, "scale_wh": 5},
	}
	var rows, columns int64
	for _, t := range s.Outputs {
		shape, known := sniff.Shape(t)
		if !known || len(shape) != 2 {
			continue
		}
		if _, taken := c.Outputs["boxes"]; shape[1] == 4 && t.Name != "scores" && !taken {
			c.Outputs["boxes"], rows = t.Name, rows+shape[0]
		} else {
			c.Outputs["scores"], rows, columns = t.Name, rows-shape[0], shape[1]
			ok = ok && shape[0] > fewAnchors
		}
	}
	c.Labels = sniff.Labels(s, int(columns)-1)
	g := detect.Guess{Contract: c}
	if !ok || len(s.Outputs) != 2 || len(c.Outputs) != 2 || rows != 0 || columns < 2 || len(s.Inputs) != 1 {
		return g
	}
	g.Fit = detect.Possible
	shape, _ := s.Output(c.Outputs["scores"])
	if grids := LiteAnchors(in.Width, in.Height); int64(count(grids)) == shape.Shape[1] {
		g.Contract.Anchors = grids
	} else {
		g.Ask = []string{"anchors"}
	}
	return g
}

// heads puts levels together and adds the contract's anchors.
type heads struct {
	*decoder
	anchors []float32
	levels  []level
}

// level is one grid's pair of outputs.
type level struct {
	rows, cells int
	convolution bool // [S·K,H,W] instead of [A,K]
}

func newHeads(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	n := len(c.Levels("boxes"))
	if n == 0 || n != len(c.Levels("scores")) || len(shapes) != 2*n {
		return nil, errors.New("boxes and scores do not have the same number of levels")
	}
	if err := checkAnchors(c.Anchors); err != nil {
		return nil, err
	}
	h := &heads{anchors: corners(c.Anchors, c.Params["yx_order"] != 0)}
	columns := c.Classes()
	if c.Background {
		columns++
	}
	rows := 0
	for i := range n {
		l, err := newLevel(shapes[i], shapes[n+i], columns)
		if err != nil {
			return nil, err
		}
		h.levels = append(h.levels, l)
		rows += l.rows
	}
	if 4*rows != len(h.anchors) {
		return nil, fmt.Errorf("%d rows for %d anchors of the contract", rows, len(h.anchors)/4)
	}
	var err error
	h.decoder, err = newCodes(c, columns)
	return h, err
}

func newLevel(boxes, scores []int64, columns int) (level, error) {
	l := level{convolution: len(boxes) == 3}
	k := int64(columns)
	switch {
	case len(boxes) == 2 && len(scores) == 2 && boxes[1] == 4 && boxes[0] == scores[0]:
		if scores[1] != k {
			return l, fmt.Errorf("%d score columns for %d with the background", scores[1], columns)
		}
		l.rows = int(boxes[0])
		return l, nil
	case len(boxes) == 3 && len(scores) == 3 && boxes[0]%4 == 0 && boxes[1] == scores[1] && boxes[2] == scores[2]:
		if scores[0] != boxes[0]/4*k {
			return l, fmt.Errorf("%d score channels for %d boxes of %d columns", scores[0], boxes[0]/4, columns)
		}
		l.cells = int(boxes[1] * boxes[2])
		l.rows = l.cells * int(boxes[0]/4)
		return l, nil
	}
	return l, fmt.Errorf("shapes %v and %v are not those of boxes and scores", boxes, scores)
}

// Decode implements detect.Decoder.
func (h *heads) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	n := len(h.levels)
	boxes, scores := outputs[0], outputs[1]
	if n > 1 || h.levels[0].convolution {
		boxes = make([]float32, 0, len(h.anchors))
		scores = make([]float32, 0, len(h.anchors)/4*h.columns)
		for i, l := range h.levels {
			boxes = l.appendRows(boxes, outputs[i], 4)
			scores = l.appendRows(scores, outputs[n+i], h.columns)
		}
	}
	return h.decoder.Decode(dst, [][]float32{boxes, scores, h.anchors}, minScore)
}

// appendRows appends the rows of k numbers of one level.
func (l level) appendRows(dst, src []float32, k int) []float32 {
	if !l.convolution {
		return append(dst, src...)
	}
	sizes := l.rows / l.cells
	for cell := range l.cells {
		for channel := range sizes * k {
			dst = append(dst, src[channel*l.cells+cell])
		}
	}
	return dst
}

var _ detect.Decoder = (*heads)(nil)
