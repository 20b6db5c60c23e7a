// Package yolox reads detectors of the YOLOX family (Ge et al., "YOLOX:
// Exceeding YOLO Series in 2021"): one output [N,5+C] with a row per grid cell
// of the strides 8, 16 and 32 (and 64 in P6 models): cx, cy, w, h, objectness
// and C class scores, the last two already through the sigmoid.
//
// The official export leaves the boxes in grid units; with the contract's
// parameter decoded they are in pixels of the input.
package yolox

import (
	"fmt"
	"math"
	"slices"

	"detectd/detect"
	"detectd/detect/sniff"
)

// Family is this family's row in the table of detect/model.
func Family() detect.Family {
	return detect.Family{
		Name:    "yolox",
		Outputs: []string{"output"},
		Sniff:   guess,
		Settle:  settle,
		New:     newDecoder,
	}
}

// guess recognises one output with as many rows as the input has grid cells.
func guess(s detect.Signature) detect.Guess {
	in, ok := sniff.Picture(s)
	in.Colour, in.Resize, in.Pad = detect.BGR, detect.LetterboxTop, 114
	name, shape, single := sniff.Single(s, 2)
	g := detect.Guess{Contract: detect.Contract{
		Family: "yolox", Input: in, Outputs: map[string]string{"output": name},
		MinScore: 0.3, NMSIoU: 0.45, MaxBoxes: 100,
	}}
	if !single || shape[1] < 6 {
		return g
	}
	rows, classes := int(shape[0]), int(shape[1])-5
	g.Contract.Labels = sniff.Labels(s, classes)
	if ok && len(s.Inputs) == 1 && sniff.Cells(in, strides(in, rows)...) == rows {
		g.Fit = sniff.FitOf(s, classes, in.Name == "images" && name == "output")
	}
	return g
}

// settle tells decoded boxes from those in grid units: the cells of the right
// edge have their centres near the input's width only when decoded.
func settle(c detect.Contract, _ [][]int64, outputs [][]float32) detect.Contract {
	columns, far := c.Classes()+5, float32(0)
	for rows := outputs[0]; len(rows) >= columns; rows = rows[columns:] {
		far = max(far, rows[0])
	}
	if far > float32(c.Input.Width)/2 {
		c.Params = map[string]float64{"decoded": 1}
	}
	return c
}

// strides are 8, 16 and 32, and 64 too in models with a fourth level.
func strides(in detect.Input, rows int) []int {
	four := []int{8, 16, 32, 64}
	if sniff.Cells(in, four...) == rows {
		return four
	}
	return four[:3]
}

// cell is the position of an output row: centre = (value + x)·stride.
type cell struct{ x, y, stride float32 }

type decoder struct {
	columns int
	rows    int
	grid    []cell // nil when the model has decoded its boxes itself
}

func newDecoder(c detect.Contract, shapes [][]int64) (detect.Decoder, error) {
	shape := shapes[0]
	if len(shape) != 2 || shape[1] < 6 {
		return nil, fmt.Errorf("shape %v is not that of rows with a box, an objectness and scores", shape)
	}
	d := &decoder{rows: int(shape[0]), columns: int(shape[1])}
	if n := d.columns - 5; n != c.Classes() {
		return nil, fmt.Errorf("%d score columns for %d classes", n, c.Classes())
	}
	if c.Background {
		return nil, fmt.Errorf("this family has no background column")
	}
	if c.Params["decoded"] != 0 {
		return d, nil
	}
	w, h := c.Input.Width, c.Input.Height
	for _, s := range strides(c.Input, d.rows) {
		for y := range h / s {
			for x := range w / s {
				d.grid = append(d.grid, cell{float32(x), float32(y), float32(s)})
			}
		}
	}
	if len(d.grid) != d.rows {
		return nil, fmt.Errorf("%d rows for %d grid cells of a %dx%d input", d.rows, len(d.grid), w, h)
	}
	return d, nil
}

// maxGrowth bounds the size of a box in grid units, as an exponent.
const maxGrowth = 8

// Decode implements detect.Decoder. Each row gives its best class only.
func (d *decoder) Decode(dst []detect.Candidate, outputs [][]float32, minScore float32) []detect.Candidate {
	for i := range d.rows {
		row := outputs[0][i*d.columns : (i+1)*d.columns]
		object := row[4]
		if object < minScore { // class scores are at most 1
			continue
		}
		scores := row[5:]
		best := slices.Max(scores)
		score := object * best
		if score < minScore {
			continue
		}
		cx, cy, w, h := row[0], row[1], row[2], row[3]
		if d.grid != nil {
			g := d.grid[i]
			cx, cy = (cx+g.x)*g.stride, (cy+g.y)*g.stride
			w, h = exp(w)*g.stride, exp(h)*g.stride
		}
		dst = append(dst, detect.Candidate{
			Class: slices.Index(scores, best), Score: score,
			X0: cx - w/2, Y0: cy - h/2, X1: cx + w/2, Y1: cy + h/2,
		})
	}
	return dst
}

func exp(v float32) float32 { return float32(math.Exp(float64(min(v, maxGrowth)))) }

var _ detect.Decoder = (*decoder)(nil)
